// What the page remembers in the browser. Without storage, as in some private windows, it remembers nothing.

const KEY = "attend-and-excite-form";

export function loadForm() {
  try {
    return JSON.parse(localStorage.getItem(KEY)) ?? {};
  } catch {
    return {};
  }
}

export function saveForm(state) {
  try {
    localStorage.setItem(KEY, JSON.stringify(state));
  } catch {
    // The form works all the same.
  }
}
