// What a picture starts from: an image of the user's, and a mask that says which part of it is drawn anew.

import { ApiError, api } from "./api.js";
import { FieldError } from "./control.js";
import { element } from "./dom.js";
import { Mask } from "./mask.js";

/// What stands in the settings and is shown here.
const FIELDS = ["strength", "mask_blur", "mask_padding", "mask_invert", "mask_overlay"];
/// What the server reads.
const TYPES = ["image/png", "image/jpeg", "image/webp"];
/// Pixels around the mask where only that part is drawn, at first.
const PADDING = 32;

const at = (id) => document.getElementById(id);

export class Start {
  id = "start";
  names = ["init_image", "mask", ...FIELDS];

  /// Fills its place in the form, before the form makes its fields. `defaults` gives the model's `{ width, height, multiple }`.
  constructor({ limits, defaults, onChange }) {
    this.limits = limits;
    this.defaults = defaults;
    this.onChange = onChange;
    this.build();
    this.mask = new Mask(at("mask-editor"), () => {
      this.isPainted = true;
      this.maskFile = undefined;
      this.changed();
    });
    at("start-choose").addEventListener("click", () => at("start-file").click());
    at("start-file").addEventListener("change", () => {
      const [file] = at("start-file").files;
      at("start-file").value = "";
      if (file) this.choose(file);
    });
    at("start-remove").addEventListener("click", () => {
      this.clear();
      this.changed();
      at("start-choose").focus();
    });
    at("use-mask").addEventListener("change", () => this.changed());
    // Before the form hears of it, and shows what the field says.
    at("only-masked").addEventListener("input", () => {
      at("mask_padding").value = at("only-masked").checked ? PADDING : "";
      at("mask_padding").dispatchEvent(new Event("input", { bubbles: true }));
    });
    at("strength-slider").addEventListener("input", () => {
      at("strength").value = at("strength-slider").value;
      at("strength").dispatchEvent(new Event("input", { bubbles: true }));
    });
    this.show();
  }

  build() {
    const fields = (names) => {
      const node = element("div", { className: "fields" });
      node.dataset.options = names;
      return node;
    };
    const check = (id, text) =>
      element("div", { className: "check" }, element("input", { type: "checkbox", id }), element("label", { htmlFor: id }, text));
    const slider = element("input", { type: "range", id: "strength-slider", min: 0.05, max: 1, step: 0.05 });
    slider.setAttribute("aria-label", "Strength: left keeps the start picture, right draws it anew");
    const file = element("input", { type: "file", id: "start-file", accept: TYPES.join(), hidden: true });
    file.setAttribute("aria-label", "Picture to start from");
    const chosen = element(
      "div",
      { id: "start-chosen", hidden: true },
      element("div", { className: "start-head" }, element("img", { id: "start-image", alt: "" }), element("p", { id: "start-name" }), element("button", { type: "button", id: "start-remove" }, "Remove")),
      element("p", { id: "start-note", className: "hint", role: "status" }),
      slider,
      fields("strength"),
      check("use-mask", "Paint a mask: draw only a part anew"),
      element(
        "div",
        { id: "mask-part", hidden: true },
        element("div", { id: "mask-editor" }),
        check("only-masked", "Only masked: draw the part around the mask at the full size"),
        fields("mask_padding mask_blur mask_invert mask_overlay"),
      ),
    );
    at("start-slot").append(
      element(
        "details",
        { id: "group-start" },
        element("summary", {}, "Start picture"),
        element("div", { className: "field" }, element("button", { type: "button", id: "start-choose" }, "Choose a picture…"), file),
        element("p", { className: "hint", id: "start-hint" }, "PNG, JPEG or WebP. It can also be dropped anywhere on the page."),
        element("p", { className: "error", id: "start-error", role: "alert", hidden: true }),
        chosen,
      ),
    );
  }

  /// Brings a file to the server and starts from it.
  async choose(file) {
    at("group-start").open = true;
    this.showError("");
    try {
      if (!TYPES.includes(file.type)) throw new ApiError(`${file.name} is no PNG, JPEG or WebP file.`);
      if (file.size > this.limits.max_picture)
        throw new ApiError(`${file.name} is larger than ${Math.floor(this.limits.max_picture / 2 ** 20)} MB: make it smaller.`);
      const { sha256, width, height } = await api.bringImage(file);
      this.clear();
      this.image = { name: file.name || "picture.png", sha256 };
      this.fit(width, height);
      await this.showImage();
      this.changed();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.showError(error.message);
    }
  }

  /// Writes a size of the image's proportions that suits the model, where the user has named none.
  fit(width, height) {
    const own = this.defaults();
    if (at("width").value || at("height").value || !own.width) return;
    const most = Math.min(Math.max(own.width, own.height), this.limits.max_side);
    const scale = most / Math.max(width, height);
    const side = (pixels) => Math.max(own.multiple, Math.round((pixels * scale) / own.multiple) * own.multiple);
    if (width % own.multiple === 0 && height % own.multiple === 0 && Math.max(width, height) <= most) return;
    [at("width").value, at("height").value] = [side(width), side(height)];
    this.fitted = `The picture has ${width} × ${height} pixels; ${at("width").value} × ${at("height").value} suit the model. “Size” changes that.`;
  }

  clear() {
    this.image = this.maskFile = this.fitted = undefined;
    this.isPainted = false;
    at("use-mask").checked = false;
    this.showError("");
  }

  /// Loads the image from the server; what it has not is said.
  async showImage(mask) {
    const wanted = this.image?.sha256;
    this.isShown = false;
    this.show();
    if (!wanted) return;
    const image = at("start-image");
    image.src = api.imageUrl(wanted);
    try {
      await image.decode();
    } catch {
      if (this.image?.sha256 === wanted)
        this.showError(`The studio does not have “${this.image.name}” any more. Choose it again, or remove it.`);
      return;
    }
    if (this.image?.sha256 !== wanted) return;
    this.isShown = true;
    this.mask.begin(image);
    if (mask) {
      await this.mask.load(api.imageUrl(mask.sha256));
      // It is the one that was painted, and no other file.
      this.maskFile = mask;
    }
    this.show();
  }

  show() {
    const { image } = this;
    at("start-chosen").hidden = !image;
    at("start-image").hidden = !this.isShown;
    at("start-choose").textContent = image ? "Choose another…" : "Choose a picture…";
    at("start-name").textContent = image?.name ?? "";
    at("start-note").textContent = this.fitted ?? "";
    at("mask-part").hidden = !at("use-mask").checked || !this.isShown;
    const strength = at("strength")?.value || (at("use-mask").checked && this.isPainted ? 1 : 0.8);
    at("strength-slider").value = strength;
    if (at("mask_padding")) at("only-masked").checked = at("mask_padding").value !== "";
  }

  changed() {
    this.show();
    this.onChange();
  }

  /// Of the form: a field of it was changed.
  refresh() {
    this.show();
  }

  showError(message) {
    at("start-error").textContent = message;
    at("start-error").hidden = message === "";
  }

  get hasMask() {
    return at("use-mask").checked && this.image && this.isShown;
  }

  /// Brings the mask to the server, if it was painted since.
  async settle() {
    if (!this.hasMask || this.maskFile || this.mask.isEmpty) return;
    const { sha256 } = await api.bringImage(await this.mask.blob());
    this.maskFile = { name: "mask.png", sha256 };
    this.onChange();
  }

  /// The part of a request.
  read() {
    if (!this.image) return {};
    const masked = this.hasMask;
    if (masked && this.mask.isEmpty)
      throw new FieldError(at("use-mask"), "Mask: nothing is painted. Paint what is to change, or use no mask.");
    return { init_image: this.image, ...(masked && { mask: this.maskFile }) };
  }

  /// What stands for a field of a request that is to blame.
  inputOf(field) {
    return { init_image: at("start-choose"), mask: at("use-mask") }[field];
  }

  fill({ init_image: image, mask }) {
    this.clear();
    this.image = image ?? undefined;
    if (!image) {
      this.show();
      return;
    }
    at("group-start").open = true;
    at("use-mask").checked = Boolean(mask);
    this.isPainted = Boolean(mask);
    // A name without a hash says which file it was; the server refuses it until it is chosen again.
    if (image.sha256) this.showImage(mask ?? undefined);
    else {
      this.show();
      this.showError(`Choose “${image.name}” again, or remove it: the settings do not say what is in it.`);
    }
  }

  get state() {
    return { init_image: this.image, mask: at("use-mask").checked ? this.maskFile : undefined };
  }

  restore(state) {
    this.fill(state ?? {});
    if (!state?.init_image) at("group-start").open = false;
  }
}
