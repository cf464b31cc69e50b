// Two pictures on one stage: what is left of the line is the first, what is right of it the second.

import { closeBeside } from "./dialog.js";
import { element } from "./dom.js";

export class Swipe {
  constructor() {
    this.title = element("h2", { id: "swipe-title", tabIndex: -1, textContent: "Compare" });
    this.first = element("img", { className: "swipe-first" });
    this.second = element("img", { className: "swipe-second" });
    this.stage = element(
      "div",
      { className: "swipe-stage", onpointerdown: (event) => this.drag(event), onpointermove: (event) => this.drag(event) },
      this.second,
      this.first,
      element("span", { className: "swipe-line", "aria-hidden": "true" }),
    );
    this.slider = element("input", {
      type: "range",
      id: "swipe-slider",
      min: 0,
      max: 100,
      "aria-label": "Share of picture A",
      oninput: () => this.move(this.slider.valueAsNumber),
    });
    this.names = ["A", "B"].map((letter, index) => {
      const name = element("span", {});
      const show = () => this.move(index === 0 ? 100 : 0);
      const button = element("button", { type: "button", className: "swipe-name", onclick: show }, name);
      button.setAttribute("aria-keyshortcuts", letter);
      return { button, name };
    });
    this.dialog = element(
      "dialog",
      { id: "swipe", "aria-labelledby": "swipe-title", onkeydown: (event) => this.press(event) },
      element(
        "div",
        { className: "detail-head" },
        this.title,
        element("button", { type: "button", id: "swipe-close", onclick: () => this.dialog.close() }, "Close"),
      ),
      this.stage,
      element("div", { className: "swipe-bar" }, this.names[0].button, this.slider, this.names[1].button),
      element("p", {
        className: "hint",
        textContent: "Drag the line, or press A and B to switch between the two pictures.",
      }),
    );
    closeBeside(this.dialog);
    document.body.append(this.dialog);
  }

  /// Shows two pictures, each with `url`, `name`, `width` and `height`.
  open(first, second) {
    [first, second].forEach(({ url, name }, index) => {
      const image = [this.first, this.second][index];
      image.src = url;
      image.alt = name;
      this.names[index].name.textContent = `${"AB"[index]}: ${name}`;
    });
    this.stage.style.setProperty("--ratio", `${first.width} / ${first.height}`);
    this.stage.style.setProperty("--width-by-height", first.width / first.height);
    this.move(50);
    this.dialog.showModal();
    this.slider.focus();
  }

  /// `share` is how much of the stage shows the first picture, in percent.
  move(share) {
    const rounded = Math.round(Math.min(100, Math.max(0, share)));
    this.slider.value = rounded;
    this.slider.setAttribute("aria-valuetext", `${rounded} % A, ${100 - rounded} % B`);
    this.stage.style.setProperty("--share", `${rounded}%`);
    this.names[0].button.setAttribute("aria-pressed", rounded === 100);
    this.names[1].button.setAttribute("aria-pressed", rounded === 0);
  }

  drag(event) {
    if (event.buttons !== 1) return;
    event.preventDefault();
    this.stage.setPointerCapture(event.pointerId);
    const { left, width } = this.stage.getBoundingClientRect();
    this.move(((event.clientX - left) / width) * 100);
  }

  press(event) {
    const share = { a: 100, b: 0 }[event.key.toLowerCase()];
    if (share === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    this.move(share);
  }
}
