// One Tab stop for a group of buttons: the arrow keys move between them.

/// Buttons may come and go; the one that was focused last, or the first, is the Tab stop.
export function rove(container) {
  const buttons = () => [...container.querySelectorAll("button:not(:disabled)")].filter(({ hidden }) => !hidden);
  const choose = (chosen) => {
    for (const button of container.querySelectorAll("button")) button.tabIndex = button === chosen ? 0 : -1;
  };
  const refresh = () => {
    const all = buttons();
    const current = all.find((button) => button === document.activeElement) ?? all.find(({ tabIndex }) => tabIndex === 0);
    choose(current ?? all[0]);
  };
  container.addEventListener("focusin", ({ target }) => target.matches("button") && choose(target));
  container.addEventListener("keydown", (event) => {
    const all = buttons();
    const place = all.indexOf(event.target);
    if (place < 0 || event.ctrlKey || event.altKey || event.metaKey) return;
    const goals = {
      ArrowRight: place + 1,
      ArrowDown: place + 1,
      ArrowLeft: place - 1,
      ArrowUp: place - 1,
      Home: 0,
      End: all.length - 1,
    };
    if (!(event.key in goals)) return;
    event.preventDefault();
    all[(goals[event.key] + all.length) % all.length].focus();
  });
  const attributeFilter = ["disabled", "hidden"];
  new MutationObserver(refresh).observe(container, { childList: true, subtree: true, attributeFilter });
  refresh();
}
