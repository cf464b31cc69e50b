// A mask that is painted over an image: white where it is drawn anew.

import { element } from "./dom.js";

/// How much of the image the colour of the mask lets through.
const ALPHA = 0.55;
/// The brush at first, as a share of the image's longer side.
const BRUSH = 0.12;

export class Mask {
  /// `onChange` is called when it was painted on. `root` gets the canvas and its tools.
  constructor(root, onChange) {
    this.onChange = onChange;
    this.canvas = element("canvas", { className: "mask-canvas", role: "img" });
    // What is white on black; what is seen is made of it.
    this.mask = document.createElement("canvas");
    this.size = element("input", { type: "range", id: "mask-size", min: 1, max: 50, step: 1 });
    this.size.valueAsNumber = BRUSH * 100;
    this.eraser = element("input", { type: "checkbox", id: "mask-erase" });
    this.file = element("input", { type: "file", accept: "image/png,image/jpeg,image/webp", hidden: true });
    this.file.setAttribute("aria-label", "File of a mask, white where the picture is drawn anew");
    this.file.id = "mask-file";
    this.note = element("p", { className: "hint", id: "mask-note", role: "status" });
    const button = (id, text, act) => element("button", { type: "button", id, onclick: act }, text);
    root.append(
      this.canvas,
      this.note,
      element("div", { className: "field" }, element("label", { htmlFor: "mask-size" }, "Brush size"), this.size),
      element("div", { className: "check" }, this.eraser, element("label", { htmlFor: "mask-erase" }, "Erase")),
      element(
        "div",
        { className: "actions" },
        button("mask-invert-now", "Invert", () => this.change((context) => this.invert(context))),
        button("mask-all", "All", () => this.change((context) => this.fillWith(context, "white"))),
        button("mask-clear", "Clear", () => this.change((context) => this.fillWith(context, "black"))),
        button("mask-load", "Load a mask…", () => this.file.click()),
        this.file,
      ),
    );
    this.file.addEventListener("change", () => {
      const [file] = this.file.files;
      this.file.value = "";
      if (file) this.load(URL.createObjectURL(file));
    });
    this.listen();
  }

  /// Begins on an image of this size, with nothing painted.
  begin(image) {
    this.image = image;
    for (const canvas of [this.canvas, this.mask]) [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
    this.fillWith(this.context, "black");
    this.show();
  }

  get context() {
    return this.mask.getContext("2d", { willReadFrequently: true });
  }

  /// Whether nothing of the image would be drawn anew.
  get isEmpty() {
    return this.coverage === 0;
  }

  listen() {
    const { canvas } = this;
    canvas.addEventListener("pointerdown", (event) => {
      if (!this.image || event.button !== 0) return;
      event.preventDefault();
      canvas.setPointerCapture(event.pointerId);
      this.last = this.place(event);
      this.stroke(this.last);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!this.last || !canvas.hasPointerCapture(event.pointerId)) return;
      // A quick hand makes few events; the browser keeps those between.
      for (const each of event.getCoalescedEvents?.() ?? [event]) this.stroke(this.place(each));
    });
    const end = () => {
      if (!this.last) return;
      this.last = undefined;
      this.show();
      this.onChange();
    };
    canvas.addEventListener("pointerup", end);
    canvas.addEventListener("pointercancel", end);
  }

  /// Where a pointer is, in pixels of the image.
  place(event) {
    const { left, top, width, height } = this.canvas.getBoundingClientRect();
    return [((event.clientX - left) / width) * this.mask.width, ((event.clientY - top) / height) * this.mask.height];
  }

  stroke(to) {
    const { context } = this;
    context.strokeStyle = this.eraser.checked ? "black" : "white";
    context.lineWidth = (this.size.valueAsNumber / 100) * Math.max(this.mask.width, this.mask.height);
    context.lineCap = context.lineJoin = "round";
    context.beginPath();
    context.moveTo(...this.last);
    context.lineTo(...to);
    context.stroke();
    this.last = to;
    this.draw();
  }

  change(act) {
    if (!this.image) return;
    act(this.context);
    this.show();
    this.onChange();
  }

  fillWith(context, colour) {
    context.fillStyle = colour;
    context.fillRect(0, 0, this.mask.width, this.mask.height);
  }

  invert(context) {
    context.globalCompositeOperation = "difference";
    this.fillWith(context, "white");
    context.globalCompositeOperation = "source-over";
  }

  /// Takes a mask from an address; what is transparent in it counts as black.
  async load(url) {
    const image = new Image();
    image.src = url;
    try {
      await image.decode();
    } catch {
      this.note.textContent = "This mask cannot be read.";
      return;
    } finally {
      URL.revokeObjectURL(url);
    }
    this.change((context) => {
      this.fillWith(context, "black");
      context.drawImage(image, 0, 0, this.mask.width, this.mask.height);
    });
  }

  /// Shows the image with the mask over it.
  draw() {
    const context = this.canvas.getContext("2d");
    const { width, height } = this.canvas;
    context.globalCompositeOperation = "source-over";
    context.globalAlpha = 1;
    context.drawImage(this.image, 0, 0, width, height);
    // White lightens the image, black leaves it: painted parts are seen on dark and on bright ground.
    context.globalAlpha = ALPHA;
    context.globalCompositeOperation = "screen";
    context.drawImage(this.tinted(), 0, 0);
    context.globalAlpha = 1;
  }

  /// The mask in the colour that it is shown in.
  tinted() {
    this.tint ??= document.createElement("canvas");
    [this.tint.width, this.tint.height] = [this.mask.width, this.mask.height];
    const context = this.tint.getContext("2d");
    context.drawImage(this.mask, 0, 0);
    context.globalCompositeOperation = "multiply";
    context.fillStyle = "#ff2fb2";
    context.fillRect(0, 0, this.mask.width, this.mask.height);
    return this.tint;
  }

  /// Draws it and says how much is painted.
  show() {
    this.draw();
    const { data } = this.context.getImageData(0, 0, this.mask.width, this.mask.height);
    let white = 0;
    for (let place = 0; place < data.length; place += 4) if (data[place] >= 128) white += 1;
    this.coverage = (4 * white) / data.length;
    const share = Math.max(1, Math.round(this.coverage * 100));
    this.note.textContent = this.isEmpty
      ? "Nothing is painted yet. Paint what is to change."
      : `${share} % of the picture is drawn anew.`;
    this.canvas.setAttribute("aria-label", `The start picture with its mask. ${this.note.textContent}`);
  }

  /// The mask as a PNG file, opaque.
  blob() {
    return new Promise((resolve) => this.mask.toBlob(resolve, "image/png"));
  }
}
