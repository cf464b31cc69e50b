// Keys of the page, and the sheet that names them.

import { element } from "./dom.js";

const at = (id) => document.getElementById(id);

/// Where a key means a letter or moves something else.
const TYPES = "input:not([type=checkbox], [type=file]), textarea, select, [contenteditable]";
const PRESSES = "button, a, summary, input, select, textarea, canvas, [role=slider]";

/// `keys` are `{ key, shown, text, when, act }`: the `key` of the event in small letters, how it is written, what it does,
/// whether it can be done now, and what to do. One without `act` is only named: others listen to it.
export class Keys {
  constructor(keys) {
    this.keys = keys;
    at("show-keys").addEventListener("click", () => this.show());
    at("keys-close").addEventListener("click", () => at("keys").close());
    document.addEventListener("keydown", (event) => this.press(event));
  }

  /// More keys, as of a part of the page.
  add(...keys) {
    this.keys.push(...keys);
  }

  press(event) {
    const { key, target } = event;
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || at("keys").open) return;
    // Escape leaves no text behind; every other key may be one.
    if (key !== "Escape" && target.closest?.(TYPES)) return;
    // These already press or move what has the focus.
    if ([" ", "Enter", "ArrowLeft", "ArrowRight"].includes(key) && target.closest?.(PRESSES)) return;
    const found = this.keys.find((each) => each.act && each.key === key.toLowerCase() && (each.when?.() ?? true));
    if (!found) return;
    event.preventDefault();
    found.act();
  }

  show() {
    const rows = this.keys.flatMap(({ shown, text }) => [
      element("dt", {}, ...shown.split(" + ").flatMap((key, index) => [index ? " + " : "", element("kbd", {}, key)])),
      element("dd", { textContent: text }),
    ]);
    at("keys-list").replaceChildren(...rows);
    at("keys").showModal();
    at("keys-title").focus();
  }
}
