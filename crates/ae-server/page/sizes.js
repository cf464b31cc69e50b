// Width and height by their proportion, and the other way round.

import { element } from "./dom.js";

const FORMATS = [
  ["1:1", 1, 1],
  ["3:2", 3, 2],
  ["2:3", 2, 3],
  ["4:3", 4, 3],
  ["3:4", 3, 4],
  ["16:9", 16, 9],
  ["9:16", 9, 16],
];

const at = (id) => document.getElementById(id);

export class Sizes {
  /// `defaults` gives the model's `{ width, height, multiple }`; `onChange` is called when the fields were written.
  constructor(defaults, onChange) {
    this.defaults = defaults;
    this.onChange = onChange;
    at("size-preset").addEventListener("input", (event) => {
      // No setting of its own: what it writes is.
      event.stopPropagation();
      this.choose(at("size-preset").value);
    });
    at("size-swap").addEventListener("click", () => this.swap());
  }

  /// The formats with their sides: as many pixels as the model's own size has, in its multiples.
  get formats() {
    const { width, height, multiple } = this.defaults();
    if (!width || !height) return [];
    const side = Math.sqrt(width * height);
    const round = (value) => Math.max(1, Math.round(value / multiple)) * multiple;
    return FORMATS.map(([name, across, down]) => ({
      name,
      width: round(side * Math.sqrt(across / down)),
      height: round(side * Math.sqrt(down / across)),
    }));
  }

  /// Shows which format the fields have.
  refresh() {
    const { width, height } = this.defaults();
    const own = width ? `As the model, ${width} × ${height}` : "As the model";
    const chosen = { width: at("width").value, height: at("height").value };
    const is = (format) => `${format.width}` === chosen.width && `${format.height}` === chosen.height;
    const isOwn = chosen.width === "" && chosen.height === "";
    const found = isOwn ? undefined : this.formats.find(is);
    const items = this.formats.map((each) => [each.name, `${each.name}, ${each.width} × ${each.height}`]);
    const all = [["", own], ...items, ...(isOwn || found ? [] : [["other", "Other"]])];
    at("size-preset").replaceChildren(
      ...all.map(([value, textContent]) => element("option", { value, textContent })),
    );
    at("size-preset").value = isOwn ? "" : (found?.name ?? "other");
  }

  choose(name) {
    const format = this.formats.find((each) => each.name === name);
    this.write(format?.width ?? "", format?.height ?? "");
  }

  swap() {
    const { width, height } = this.defaults();
    this.write(at("height").value || height || "", at("width").value || width || "");
  }

  write(width, height) {
    at("width").value = width;
    at("height").value = height;
    this.onChange();
  }
}
