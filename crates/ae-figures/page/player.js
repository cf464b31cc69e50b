// The slider over the steps, with a button that plays them.

import { element, freshId } from "./dom.js";

const reducedMotion = matchMedia("(prefers-reduced-motion: reduce)");

export class Player {
  /// `onMove` gets the index of the step to show.
  constructor(onMove) {
    this.onMove = onMove;
    const id = freshId("steps");
    this.button = element("button", { type: "button", className: "play", onclick: () => this.toggle() });
    this.slider = element("input", {
      type: "range",
      id,
      min: 0,
      step: 1,
      oninput: () => this.pick(this.slider.valueAsNumber),
    });
    this.slider.dataset.testid = "step-slider";
    this.text = element("output", { className: "step-text", htmlFor: id, "data-testid": "step-text" });
    // An output announces each change by itself; the slider already speaks.
    this.text.setAttribute("aria-live", "off");
    this.root = element(
      "div",
      { className: "player", role: "group", "aria-label": "Steps" },
      this.button,
      element("label", { htmlFor: id, textContent: "Step" }),
      this.slider,
      this.text,
    );
    this.reset();
  }

  reset() {
    this.pause();
    this.newest = -1;
    this.numSteps = 0;
    this.slider.disabled = this.button.disabled = true;
    this.slider.max = 0;
    this.text.textContent = "";
    this.follow();
  }

  /// Shows the newest step, and each that arrives, until the user chooses another.
  follow() {
    this.following = true;
  }

  /// There are `numSteps` steps, and those up to `newest` can be shown.
  extend(numSteps, newest) {
    this.numSteps = numSteps;
    this.newest = Math.max(this.newest, newest);
    this.slider.max = Math.max(0, numSteps - 1);
    this.slider.disabled = this.button.disabled = this.newest < 0;
    if (this.following) this.show(newest);
  }

  /// The user chose a step.
  pick(position) {
    this.pause();
    this.following = position >= this.newest;
    this.show(Math.min(position, this.newest));
  }

  show(position) {
    this.slider.value = position;
    this.onMove(position);
  }

  toggle() {
    if (this.timer) {
      this.pause();
      return;
    }
    this.following = false;
    if (this.slider.valueAsNumber >= this.newest) this.show(0);
    this.timer = setInterval(() => this.advance(), reducedMotion.matches ? 600 : 120);
    this.labelButton();
  }

  advance() {
    const next = this.slider.valueAsNumber + 1;
    if (next >= this.newest) this.pause();
    this.following = next >= this.newest;
    this.show(Math.min(next, this.newest));
  }

  pause() {
    clearInterval(this.timer);
    this.timer = undefined;
    this.labelButton();
  }

  labelButton() {
    this.button.textContent = this.timer ? "Pause" : "Play";
  }

  /// For people steps count from 1.
  describe(position, timestep) {
    const where = this.newest < 0 ? "" : `step ${position + 1} of ${this.numSteps}`;
    const text = timestep === undefined ? where : `${where}, timestep ${Math.round(timestep)}`;
    this.slider.setAttribute("aria-valuetext", text);
    this.text.textContent = text;
  }
}
