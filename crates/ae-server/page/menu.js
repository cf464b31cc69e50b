// A button that opens a list of buttons.

import { element } from "./dom.js";

/// `items` gives the buttons each time the menu opens: `{ label, title, act }`.
export function menu(label, items) {
  const list = element("div", { className: "menu-list", role: "group", "aria-label": label });
  const root = element("details", { className: "menu" }, element("summary", { className: "button" }, label), list);
  const close = (focus) => {
    if (!root.open) return;
    root.open = false;
    if (focus) root.querySelector("summary").focus();
  };
  root.addEventListener("toggle", () => {
    if (!root.open) return;
    const buttons = items().map(({ label: text, title = "", act }) => {
      const onclick = () => {
        close(true);
        act();
      };
      return element("button", { type: "button", title, onclick }, text);
    });
    list.replaceChildren(...buttons);
  });
  root.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !root.open) return;
    // Escape ends more than one thing; here it closes the menu alone.
    event.stopPropagation();
    event.preventDefault();
    close(true);
  });
  document.addEventListener("pointerdown", ({ target }) => root.contains(target) || close(false));
  root.addEventListener("focusout", ({ relatedTarget }) => {
    if (relatedTarget && !root.contains(relatedTarget)) close(false);
  });
  return root;
}
