// What every dialog of the page does.

/// A click beside a dialog closes it; one on its padding does not.
export function closeBeside(dialog) {
  dialog.addEventListener("click", ({ target, clientX, clientY }) => {
    if (target !== dialog) return;
    const { left, right, top, bottom } = dialog.getBoundingClientRect();
    if (clientX < left || clientX > right || clientY < top || clientY > bottom) dialog.close();
  });
}
