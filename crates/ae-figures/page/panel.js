// One run at one step: the picture under its heat map, and a tile for each subject.

import { element } from "./dom.js";
import { drawHeat } from "./heat.js";
import { summit } from "./maps.js";

/// Length of the longer side of a canvas; the browser scales it to the screen.
const STAGE = 256;
const TILE = 128;

export class Panel {
  /// `name` is the name of the method for people.
  constructor(steps, name, subjects, palette) {
    this.steps = steps;
    this.subjects = subjects;
    this.palette = palette;
    this.name = name;
    this.picture = element("img", { className: "stage-picture", "data-testid": "stage-picture", hidden: true });
    // They are drawn at the next frame; until then they have a name too.
    const unnamed = { role: "img", "aria-label": "Attention: no map yet" };
    this.overlay = element("canvas", { ...unnamed, className: "stage-heat", "data-testid": "stage-heat" });
    this.tiles = subjects.map(() => ({
      canvas: element("canvas", { ...unnamed, "data-testid": "subject-map" }),
      peak: element("span", { className: "value" }),
    }));
    this.root = element(
      "section",
      {
        className: "run-panel",
        "aria-label": `${this.name}, seed ${steps.seed}`,
        "data-testid": `run-${steps.method}`,
      },
      element(
        "p",
        { className: "run-name" },
        element("strong", { textContent: this.name }),
        ` seed ${steps.seed}`,
        ...(steps.found ? [element("span", { className: "found", textContent: foundText(steps.found) })] : []),
      ),
      element(
        "div",
        { className: "run-pictures" },
        element("div", { className: "stage" }, this.picture, this.overlay),
        element("div", { className: "tiles" }, ...this.tiles.map((tile, index) => this.tile(tile, index))),
      ),
    );
  }

  tile({ canvas, peak }, index) {
    const caption = element(
      "figcaption",
      {},
      element("span", { className: "subject-number", textContent: index + 1, "aria-hidden": "true" }),
      element("span", { className: "tile-name", textContent: this.subjects[index].text }),
      peak,
    );
    return element("figure", { className: "tile" }, canvas, caption);
  }

  /// `words` are the words whose attention lies over the picture, `names` their texts, `scale` the attention that has
  /// the last colour.
  update({ position, words, names, scale, opacity }) {
    const when = `step ${position + 1}`;
    const picture = this.steps.pictureAt(position);
    this.picture.hidden = !picture;
    // Setting the same address again would decode the picture again.
    if (picture && this.picture.getAttribute("src") !== picture) this.picture.src = picture;
    this.picture.alt = picture === this.steps.picture ? `Picture by ${this.name}` : `Preview at ${when}, ${this.name}`;

    const heat = this.steps.attention(position, words);
    this.overlay.style.opacity = opacity;
    this.paint(this.overlay, heat, STAGE, scale, true);
    this.overlay.setAttribute("aria-label", describeMap(heat, names, when));

    this.subjects.forEach((subject, index) => {
      const { canvas, peak } = this.tiles[index];
      const map = this.steps.attention(position, [subject.positions]);
      this.paint(canvas, map, TILE, scale);
      canvas.setAttribute("aria-label", describeMap(map, subject.text, when));
      peak.textContent = map ? summit(map).value.toFixed(2) : "–";
    });
  }

  /// Canvases have the shape of the maps, which is that of the picture.
  paint(canvas, map, side, scale, veil = false) {
    const longer = map ? Math.max(map.rows, map.cols) : 1;
    const width = map ? Math.round((side * map.cols) / longer) : side;
    const height = map ? Math.round((side * map.rows) / longer) : side;
    if (canvas.width !== width) canvas.width = width;
    if (canvas.height !== height) canvas.height = height;
    drawHeat(canvas, map, scale, this.palette, veil);
  }
}

/// What the detector of the embedded model's subjects sees.
export function foundText(found) {
  return found.length > 0 ? `found: ${found.join(", ")}` : "found: no subject";
}

function describeMap(map, name, when) {
  if (!map) return `Attention to ${name}: no map at ${when}`;
  const { value, place } = summit(map);
  return `Attention to ${name} at ${when}: at most ${value.toFixed(2)}, ${place}`;
}
