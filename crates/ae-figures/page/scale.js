// The colour scale of the maps, and whether and how strongly they cover the picture.

import { element, freshId } from "./dom.js";
import { drawColourBar } from "./heat.js";

export class Scale {
  /// `onOpacity` is called when the user chose another opacity.
  constructor(palette, onOpacity) {
    const id = freshId("opacity");
    const switchId = freshId("attention");
    const bar = element("canvas", { className: "colour-bar", width: 256, height: 1, "aria-hidden": "true" });
    drawColourBar(bar, palette);
    this.ticks = [0, 0.5, 1].map((share) => ({ share, node: element("span") }));
    this.slider = element("input", { type: "range", id, min: 0, max: 100, value: 70, oninput: onOpacity });
    this.switch = element("input", { type: "checkbox", id: switchId, checked: true, onchange: onOpacity });
    this.switch.dataset.testid = "show-attention";
    this.root = element(
      "div",
      { className: "run-legend" },
      element(
        "div",
        { className: "colour-scale", role: "group", "aria-label": "Colour scale", "data-testid": "colour-scale" },
        element("span", { className: "label", textContent: "Attention, one scale for all maps and steps" }),
        bar,
        element("div", { className: "colour-ticks" }, ...this.ticks.map(({ node }) => node)),
      ),
      element(
        "div",
        { className: "opacity" },
        element(
          "div",
          { className: "switch" },
          this.switch,
          element("label", { className: "label", htmlFor: switchId, textContent: "Show attention over the picture" }),
        ),
        element("label", { className: "visually-hidden", htmlFor: id, textContent: "Strength of the attention map" }),
        this.slider,
      ),
    );
  }

  /// From 0, the picture alone, to 1.
  get opacity() {
    return this.switch.checked ? this.slider.valueAsNumber / 100 : 0;
  }

  /// Whether the maps cover the picture.
  set shown(shown) {
    this.switch.checked = shown;
  }

  /// `most` is the attention that has the last colour.
  update(most) {
    for (const { share, node } of this.ticks) node.textContent = (share * most).toFixed(2);
  }
}
