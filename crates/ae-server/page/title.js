// The title of the tab, and a notification for those who look elsewhere.

import { load, save } from "./store.js";

const NAME = document.title;

let ended = false;

/// `share` from 0 to 1 of what is drawn.
export function showShare(share, prompt) {
  ended = false;
  document.title = `${Math.floor(share * 100)} % · ${prompt}`;
}

/// A job ended; the title says so until somebody looks.
export function showEnd(word, prompt) {
  ended = true;
  document.title = `${word} · ${prompt}`;
  if (!document.hidden) setTimeout(reset, 4000);
  else if (notifies()) new Notification(`${word}: ${prompt}`, { icon: "/assets/icon.svg", tag: "attend-and-excite" });
}

function reset() {
  if (ended) document.title = NAME;
}

document.addEventListener("visibilitychange", () => {
  if (!document.hidden) reset();
});

function notifies() {
  return load("notify", false) && "Notification" in window && Notification.permission === "granted";
}

/// Lets a checkbox decide whether there are notifications; the browser asks before the first. `onRefused` hears of a no.
export function offerNotifications(box, onRefused) {
  box.disabled = !("Notification" in window);
  box.checked = notifies();
  box.addEventListener("change", async () => {
    if (box.checked && Notification.permission !== "granted" && (await Notification.requestPermission()) !== "granted") {
      box.checked = false;
      onRefused();
    }
    save("notify", box.checked);
  });
}
