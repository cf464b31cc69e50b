// What the page remembers in the browser. Without storage, as in some private windows, it remembers nothing.

const PREFIX = "attend-and-excite-";

/// What was saved under a name; `otherwise` where there is nothing, or nothing that can be read.
export function load(name, otherwise) {
  try {
    return JSON.parse(localStorage.getItem(PREFIX + name)) ?? otherwise;
  } catch {
    return otherwise;
  }
}

export function save(name, value) {
  try {
    localStorage.setItem(PREFIX + name, JSON.stringify(value));
  } catch {
    // The page works all the same.
  }
}
