// What settings from elsewhere say and the form does not show: it is sent as it is, unless it is taken away.

import { element } from "./dom.js";

const at = (id) => document.getElementById(id);

export class Extras {
  /// `onChange` is called when something was taken away.
  constructor(options, onChange) {
    this.options = options;
    this.onChange = onChange;
    this.settings = {};
  }

  set settings(settings) {
    this.all = settings;
    this.draw();
  }

  get settings() {
    return this.all;
  }

  /// Another model has other files.
  forgetModel() {
    const isOfModel = (name) => this.options.properties[name]?.["x-group"] === "record";
    this.settings = Object.fromEntries(Object.entries(this.all).filter(([name]) => !isOfModel(name)));
  }

  draw() {
    const names = Object.keys(this.all);
    at("extras").hidden = names.length === 0;
    at("extras-list").replaceChildren(...names.map((name) => this.item(name)));
  }

  item(name) {
    const option = { name, title: name, ...this.options.properties[name] };
    const remove = () => {
      const { [name]: _, ...others } = this.all;
      this.settings = others;
      (at("extras-list").querySelector("button") ?? at("prompt")).focus();
      this.onChange();
    };
    return element(
      "li",
      {},
      element("span", { textContent: `${option.title}: ${this.options.text(option, this.all[name])}` }),
      element("button", { type: "button", onclick: remove, "aria-label": `Remove: ${option.title}` }, "Remove"),
    );
  }
}
