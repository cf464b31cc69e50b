// One option in the form: its label, its input, and what is said of it.

import { element } from "./dom.js";
import { PARSERS } from "./fields.js";

/// Kinds whose values are short: two stand side by side.
const NARROW = ["whole", "number", "pair", "resolution", "step"];

/// Whether a form can show an option.
export function isShowable({ "x-kind": kind }) {
  return kind in PARSERS || kind === "choice" || kind === "switch";
}

/// What cannot be sent as it is in the form.
export class FieldError extends Error {
  constructor(input, message) {
    super(message);
    this.input = input;
  }
}

/// Says below an input what is wrong with it; without a message no longer.
export function markField(input, message = "") {
  const id = `${input.id}-error`;
  const described = (input.getAttribute("aria-describedby") ?? "").split(" ").filter((each) => each && each !== id);
  document.getElementById(id)?.remove();
  if (message === "") {
    input.removeAttribute("aria-invalid");
  } else {
    input.setAttribute("aria-invalid", "true");
    described.unshift(id);
    const error = element("p", { className: "error field-error", id, role: "alert", textContent: message });
    (input.closest(".field, .check") ?? input).append(error);
  }
  input.setAttribute("aria-describedby", described.join(" "));
}

export class Control {
  /// `choices` are the values of a select, each with its text, where they are the server's and not the option's.
  constructor(option, options, choices) {
    this.isListed = choices !== undefined;
    this.option = option;
    this.options = options;
    this.kind = option["x-kind"];
    this.hint = element("p", { className: "hint", id: `${option.name}-hint` });
    this.input = this.createInput(choices ?? option.enum?.map((name) => [name, options.text(option, name)]));
    this.input.id = option.name;
    this.input.setAttribute("aria-describedby", this.hint.id);
    const label = element("label", { htmlFor: option.name, textContent: option.title });
    this.reset = element(
      "button",
      { type: "button", className: "field-reset", hidden: true, onclick: () => this.takeBack() },
      "Reset",
      element("span", { className: "visually-hidden", textContent: ` ${option.title}` }),
    );
    const head = element("div", { className: "field-head" }, label, this.reset);
    const isSwitch = this.kind === "switch";
    const parts = isSwitch ? [this.input, element("div", {}, head, this.hint)] : [head, this.input, this.hint];
    const className = isSwitch ? "check" : NARROW.includes(this.kind) ? "field narrow" : "field";
    this.root = element("div", { className }, ...parts);
    this.showDefault(option.default);
    this.write(undefined);
  }

  /// Whether nobody knows what an empty field would be: the model was not loaded yet, and the value is its own.
  get isOfUnknownModel() {
    return this.isUnsure && "x-default" in this.option;
  }

  createInput(choices) {
    const { kind, option } = this;
    if (choices) {
      const all = option.default === undefined && option.enum ? [["", ""], ...choices] : choices;
      return element("select", {}, ...all.map(([value, textContent]) => element("option", { value, textContent })));
    }
    if (kind === "switch") return element("input", { type: "checkbox" });
    if (kind === "text") return element("textarea", { rows: 2 });
    if (kind !== "whole") return element("input", { autocomplete: "off", inputMode: kind === "number" ? "decimal" : "" });
    return element("input", {
      type: "number",
      inputMode: "numeric",
      min: option.minimum ?? "",
      max: option.maximum ?? "",
    });
  }

  /// Whether the option is sent; those of other methods are hidden.
  get active() {
    return !this.input.disabled && this.input.closest("[hidden]") === null;
  }

  /// The value as a request has it; undefined where the choice is the model's.
  read() {
    const { input, kind } = this;
    if (kind === "switch") return input.checked === (this.default ?? false) ? undefined : input.checked;
    const text = input.value.trim();
    // A number field with other text in it has an empty value, but must not pass for empty.
    if (text === "" && !input.validity.badInput) return undefined;
    if (input.tagName === "SELECT") return text === this.first && !this.isOfUnknownModel ? undefined : text;
    try {
      return this.checked(PARSERS[kind](text));
    } catch (error) {
      throw new FieldError(input, `${this.option.title}: ${error.message}.`);
    }
  }

  /// A number, if it is in the range that the server says.
  checked(value) {
    if (typeof value !== "number") return value;
    const { minimum, maximum, exclusiveMinimum } = this.option;
    const multiple = Number(this.input.step || 1);
    const isWhole = this.kind !== "whole" || value % multiple === 0;
    if (isWhole && !(value < minimum || value > maximum || value <= exclusiveMinimum)) return value;
    const least = multiple > 1 ? Math.max(minimum, multiple) : minimum;
    const bounds = [
      exclusiveMinimum !== undefined && `above ${exclusiveMinimum}`,
      least !== undefined && `from ${least}`,
      maximum !== undefined && `up to ${maximum}`,
    ];
    const noun = multiple > 1 ? `a multiple of ${multiple}` : "a number";
    throw new Error(`write ${[noun, ...bounds.filter(Boolean)].join(" ")}`);
  }

  /// Whether the value is another than that of an empty field.
  get isChanged() {
    const { input, option } = this;
    if (this.kind === "switch") return input.checked !== (this.default ?? false);
    if (input.tagName !== "SELECT") return input.value.trim() !== "" || input.validity.badInput;
    return input.value !== (this.first ?? input.options[0]?.value ?? "");
  }

  /// Back to what an empty field stands for.
  takeBack() {
    this.write(undefined);
    markField(this.input);
    this.input.focus();
    this.input.dispatchEvent(new Event("input", { bubbles: true }));
  }

  /// Marks a value that is not the default. What stands first in the form needs no mark.
  showChange() {
    this.root.classList.toggle("changed", this.isChanged);
    this.reset.hidden = !this.isChanged || this.option.name === "model";
  }

  /// Shows a value, or none. One that an empty field stands for leaves the field empty, so that another model's own can take
  /// its place.
  write(value) {
    const { input, option } = this;
    if (JSON.stringify(value) === JSON.stringify(this.default) && !this.isOfUnknownModel) value = undefined;
    if (this.kind === "switch") input.checked = value ?? this.default ?? false;
    else if (input.tagName === "SELECT") this.select(value ?? this.first);
    else input.value = value === undefined ? "" : this.options.text(option, value);
    this.showHint();
  }

  /// What a select stands at by itself: nothing, where the model decides.
  get first() {
    if (this.isListed) return undefined;
    const hasEmpty = [...this.input.options].some(({ value }) => value === "");
    return hasEmpty ? "" : (this.default ?? this.option.default);
  }

  /// Settings from elsewhere may name what is not here; it is kept, so that the server can say what is missing.
  select(value) {
    const { input } = this;
    if (value === undefined) input.selectedIndex = 0;
    else if (![...input.options].some((each) => each.value === value))
      input.append(element("option", { value, textContent: value }));
    if (value !== undefined) input.value = value;
  }

  /// Says what an empty field stands for; `isUnsure` where the model may have another value.
  showDefault(value, isUnsure = false) {
    const { input, option } = this;
    this.default = value;
    this.isUnsure = isUnsure;
    const inWords = option["x-default"] ?? "";
    const text = value === undefined ? "" : this.options.text(option, value);
    if (input.tagName !== "SELECT") input.placeholder = text || inWords.split(", or ")[0];
    else if (input.options[0]?.value === "") input.options[0].textContent = text ? `${inWords} (${text})` : inWords;
  }

  /// Of a choice what was chosen, otherwise what the option is.
  showHint() {
    const { option, input } = this;
    const chosen = option["x-enum-descriptions"]?.[option.enum.indexOf(input.value)];
    const text = this.isListed ? "" : (chosen ?? option.description ?? "");
    this.hint.hidden = text === "";
    // Names in backticks are code.
    const parts = text.split("`").map((part, index) => (index % 2 ? element("code", { textContent: part }) : part));
    this.hint.replaceChildren(...parts);
  }
}
