// What is to be done with a picture that was dropped on the page.

import { element } from "./dom.js";

/// Asks; `onRestore` and `onStart` get the file. `hasSettings` says whether there is anything to restore.
export function askWhatFor(file, { hasSettings, onRestore, onStart }) {
  const url = URL.createObjectURL(file);
  const dialog = element("dialog", { id: "dropped" });
  dialog.setAttribute("aria-labelledby", "dropped-title");
  const close = (act) => {
    dialog.close();
    act?.(file);
  };
  const button = (id, text, act, className = "") =>
    element("button", { type: "button", id, className, onclick: () => close(act) }, text);
  const restore = button("dropped-restore", "Restore settings", onRestore);
  const note = element("p", { className: "hint" }, "Restore: what drew this picture. Start: a new picture is drawn from it.");
  dialog.append(
    element("h2", { id: "dropped-title", textContent: file.name }),
    element("img", { src: url, alt: "", className: "dropped-image" }),
    note,
    element("div", { className: "actions" }, button("dropped-start", "Use as start", onStart, "primary"), restore, button("dropped-cancel", "Cancel")),
  );
  if (!hasSettings) {
    restore.disabled = true;
    note.textContent = "This picture has no settings to restore. A new picture can be drawn from it.";
  }
  dialog.addEventListener("close", () => {
    URL.revokeObjectURL(url);
    dialog.remove();
  });
  document.body.append(dialog);
  dialog.showModal();
}
