// Short news at the lower edge of the page, with a button that takes it back where that can be done.

import { element } from "./dom.js";

/// Long enough to read it and to reach the button.
const SHOWN = 12_000;

/// Shows a text; `action` is `{ label, act }`.
export function toast(text, action) {
  const holder = document.getElementById("toasts");
  const note = element("div", { className: "toast" }, element("span", { textContent: text }));
  let timer;
  const start = () => {
    timer = setTimeout(() => note.remove(), SHOWN);
  };
  const close = () => {
    clearTimeout(timer);
    note.remove();
  };
  if (action) {
    const act = () => {
      close();
      action.act();
    };
    note.append(element("button", { type: "button", onclick: act }, action.label));
  }
  note.append(element("button", { type: "button", onclick: close, "aria-label": `Close: ${text}` }, "×"));
  // Who reads it or is about to press a button has the time for it.
  for (const event of ["pointerenter", "focusin"]) note.addEventListener(event, () => clearTimeout(timer));
  for (const event of ["pointerleave", "focusout"]) note.addEventListener(event, start);
  holder.append(note);
  // What lies behind an open dialog can be neither read nor pressed.
  const dialog = document.querySelector("dialog[open]");
  (dialog ?? document.body).append(holder);
  dialog?.addEventListener("close", () => document.body.append(holder), { once: true });
  start();
}
