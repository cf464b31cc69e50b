// Light, dark, or as the system is. No module, so that it runs before anything is drawn.

(() => {
  const KEY = "attend-and-excite-theme";
  const root = document.documentElement;
  let chosen = "";
  try {
    chosen = localStorage.getItem(KEY) ?? "";
  } catch {
    // Without storage the system decides.
  }
  root.dataset.theme = chosen;
  document.addEventListener("DOMContentLoaded", () => {
    const select = document.getElementById("theme");
    select.value = chosen;
    select.addEventListener("change", () => {
      root.dataset.theme = select.value;
      try {
        localStorage.setItem(KEY, select.value);
      } catch {
        // It holds until the page is closed.
      }
    });
  });
})();
