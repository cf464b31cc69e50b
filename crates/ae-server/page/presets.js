// Settings under a name, kept in the browser: all of the form but what belongs to one picture.

import { element } from "./dom.js";
import { load, save } from "./store.js";
import { toast } from "./toast.js";

/// What belongs to one picture and not to a way of drawing.
const OF_PICTURE = ["prompt", "subjects", "token_indices", "phrases", "pairs", "groups", "boxes", "seed", "seeds", "init_image", "mask"];

export class Presets {
  /// `read` gives the request of the form, `apply` takes settings; an error of `read` goes to `onError`.
  constructor({ root, read, apply, onError }) {
    Object.assign(this, { read, apply, onError });
    this.all = load("presets", {});
    this.select = element("select", { id: "saved-settings" });
    this.name = element("input", { id: "saved-name", autocomplete: "off", maxLength: 60 });
    this.use = element("button", { type: "button", id: "saved-use", onclick: () => this.take() }, "Apply");
    this.delete = element("button", { type: "button", id: "saved-delete", onclick: () => this.remove() }, "Delete");
    const keep = element("button", { type: "button", id: "saved-keep", onclick: () => this.keep() }, "Save");
    // Enter in the name saves; it must not draw.
    this.name.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      this.keep();
    });
    // The name is no setting.
    this.name.addEventListener("input", (event) => event.stopPropagation());
    this.select.addEventListener("input", (event) => event.stopPropagation());
    const field = (label, input, ...buttons) =>
      element(
        "div",
        { className: "field" },
        element("label", { htmlFor: input.id, textContent: label }),
        element("div", { className: "with-button" }, input, ...buttons),
      );
    root.append(
      element(
        "details",
        { id: "group-presets" },
        element("summary", {}, "Saved settings"),
        field("Saved", this.select, element("div", { className: "actions" }, this.use, this.delete)),
        field("Save these settings as", this.name, keep),
        element("p", { className: "hint" }, "Everything but prompt, what belongs to its words, seeds and start picture. Kept in this browser."),
      ),
    );
    this.draw();
  }

  draw(chosen) {
    const names = Object.keys(this.all).toSorted((a, b) => a.localeCompare(b));
    const items = names.map((name) => element("option", { value: name, textContent: name }));
    this.select.replaceChildren(...(items.length > 0 ? items : [element("option", { value: "" }, "None yet")]));
    if (chosen !== undefined && names.includes(chosen)) this.select.value = chosen;
    this.select.disabled = this.use.disabled = this.delete.disabled = items.length === 0;
  }

  async keep() {
    const name = this.name.value.trim();
    if (name === "") {
      this.name.focus();
      return;
    }
    let request;
    try {
      request = await this.read();
    } catch (error) {
      this.onError(error);
      return;
    }
    const before = this.all;
    const settings = Object.fromEntries(Object.entries(request).filter(([key]) => !OF_PICTURE.includes(key)));
    this.change({ ...before, [name]: settings }, name);
    this.name.value = "";
    const undo = { label: "Undo", act: () => this.change(before) };
    toast(`“${name}” ${name in before ? "replaced" : "saved"}.`, undo);
  }

  take() {
    this.apply(this.all[this.select.value], this.select.value);
  }

  remove() {
    const name = this.select.value;
    const before = this.all;
    const { [name]: _, ...others } = before;
    this.change(others);
    (this.select.disabled ? this.name : this.select).focus();
    toast(`“${name}” deleted.`, { label: "Undo", act: () => this.change(before, name) });
  }

  change(all, chosen) {
    this.all = all;
    save("presets", all);
    this.draw(chosen);
  }
}
