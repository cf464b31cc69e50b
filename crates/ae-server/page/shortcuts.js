// What the keys of the page do.

import { Keys } from "./keys.js";

const at = (id) => document.getElementById(id);

/// `view` is the run view of the page, `detail` the dialog with another; `cancel` gets the job of `live`.
export function beginKeys({ view, detail, live, cancel, drawAgain }) {
  const isMain = () => !document.querySelector("dialog[open]");
  const viewOf = () => (isMain() ? view : detail.view);
  const slider = () => viewOf().root.querySelector("[data-testid=step-slider]:not(:disabled)");
  const hasSteps = () => isMain() && slider() !== null;
  const step = (by) => {
    slider().valueAsNumber += by;
    slider().dispatchEvent(new Event("input"));
  };
  const keys = [
    ["", "Ctrl + Enter", "Generate"],
    ["", "↑", "In an empty prompt, or at its beginning: the prompt before"],
    ["escape", "Esc", "Cancel what is drawn; close a dialog", () => isMain() && live.busy, () => cancel(live.job)],
    ["arrowleft", "←", "The step before", hasSteps, () => step(-1)],
    ["arrowright", "→", "The next step", hasSteps, () => step(1)],
    [" ", "Space", "Play the steps, or pause", slider, () => viewOf().player.toggle()],
    ["m", "M", "Show attention over the picture, or hide it", slider, () => viewOf().toggleAttention()],
    ["r", "R", "Use the settings of the open picture", () => at("detail").open, () => at("detail-use").click()],
    ["n", "N", "Draw again with a new seed", isMain, drawAgain],
    ["/", "/", "Write the prompt", isMain, () => at("prompt").focus()],
    ["?", "?", "This sheet", isMain, () => at("show-keys").click()],
  ];
  return new Keys(keys.map(([key, shown, text, when, act]) => ({ key, shown, text, when, act })));
}
