// The form: from the options of the schema to a request and back.

import { Control, FieldError, isShowable, markField } from "./control.js";
import { element } from "./dom.js";
import { Extras } from "./extras.js";
import { parseSeeds, randomSeed } from "./fields.js";
import { Sizes } from "./sizes.js";
import { load, save } from "./store.js";
import { Words } from "./words.js";

/// What stands outside the fields that are made of the schema, and what only a picture says of itself.
const OWN = ["prompt", "subjects", "token_indices", "seed", "seeds", "compare", "format", "version"];
/// Parts of the settings whose options a client can choose.
const GROUPS = ["prompt", "sampling", "method"];
/// The options of the methods after the first, which are a part of the form by themselves.
const OBJECTIVE = "objective";
/// What counts only while something else is on.
const NEEDS = { sigma: "smoothing", kernel_size: "smoothing" };
/// The method with which there is nothing to compare.
const PLAIN = "stable-diffusion";

const at = (id) => document.getElementById(id);

export class Form {
  /// `onSubmit` gets the request. `parts` are further parts of the form, which read and fill settings of their own (`names`).
  /// `onRefresh` is called when the form shows what was chosen.
  constructor({ options, models, devices, parts, onSubmit, onTokens, onRefresh }) {
    this.options = options;
    this.models = models;
    this.onSubmit = onSubmit;
    this.onRefresh = onRefresh;
    this.parts = parts;
    const onChange = () => {
      this.showError("");
      this.save();
    };
    this.words = new Words({ onChange, onPrompt: (prompt) => this.setPrompt(prompt), onTokens });
    this.extras = new Extras(options, () => this.save());
    this.controls = new Map();
    this.build({ model: models, device: devices });
    this.sizes = new Sizes(
      () => ({ ...this.defaults?.settings, multiple: this.defaults?.multiple ?? 8 }),
      () => this.changed(),
    );

    at("form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.submit();
    });
    at("form").addEventListener("input", ({ target }) => {
      markField(target);
      this.showError("");
      if (target.id === "model") this.extras.forgetModel();
      this.changed();
    });
    at("dice").addEventListener("click", () => {
      at("seeds").value = randomSeed();
      this.changed();
    });
    at("reset").addEventListener("click", () => this.fill({ prompt: at("prompt").value }));
    const last = load("form", null);
    /// Whether nobody was here before, in this browser.
    this.isFirstVisit = last === null;
    // What the method is good for is seen beside the plain picture.
    this.restore(last ?? { flags: { compare: true } });
  }

  /// Fills the groups of the page: `data-options` names options, a group of them, or with `*` all others.
  build(lists) {
    const { options } = this;
    const groups = Object.entries(options.properties).filter(([name]) => options.isGroup(name));
    const later = options.all.find((option) => option["x-group"] === OBJECTIVE)["x-heading"];
    for (const [name, title] of [...groups.map(([name, { title }]) => [name, title]), [OBJECTIVE, later]]) {
      const fields = element("div", { className: "fields" });
      fields.dataset.options = name;
      at("method-groups").append(element("details", { id: `group-${name}` }, element("summary", {}, title), fields));
    }
    const named = [...document.querySelectorAll("[data-options]")].map((fields) => [
      fields,
      fields.dataset.options.split(" "),
    ]);
    const isNamed = ({ name }) => OWN.includes(name) || named.some(([, names]) => names.includes(name));
    const isOther = (option) => !option.group && GROUPS.includes(option["x-group"]) && !isNamed(option);
    for (const [fields, names] of named) {
      const found = names.flatMap((name) =>
        options.all.filter((option) =>
          name === "*" ? isOther(option) : [option.group ?? option.name, option["x-group"]].includes(name),
        ),
      );
      for (const option of found.filter(isShowable)) {
        const choices = lists[option.name]?.map(({ id, title }) => [id, title]);
        const control = new Control(option, options, choices);
        this.controls.set(option.name, control);
        fields.append(control.root);
      }
    }
  }

  get all() {
    return [...this.controls.values()];
  }

  get method() {
    return this.options.methods.find(({ name }) => name === at("method").value);
  }

  /// Sends the request, or says what is wrong with it.
  async submit() {
    this.showError("");
    try {
      this.onSubmit(await this.request());
    } catch (error) {
      this.refused(error);
    }
  }

  /// The request that the form stands for.
  async request() {
    await Promise.all([this.words, ...this.parts].map((part) => part.settle?.()));
    return this.read();
  }

  /// Sends the request with another seed.
  submitWith(seed) {
    at("seeds").value = seed;
    this.changed();
    this.submit();
  }

  /// What in the form belongs to one picture and not to a way of drawing.
  get ofPicture() {
    const { init_image, mask } = Object.assign({}, ...this.parts.map((part) => part.read()));
    const seeds = at("seeds").value ? [at("seeds").value] : undefined;
    return { prompt: at("prompt").value, seeds, init_image, mask, ...this.words.choice };
  }

  /// What cannot be sent, or the server did not accept: below its field, otherwise above the button.
  refused(error) {
    if (error instanceof TypeError || error instanceof ReferenceError) throw error;
    const input = error.input ?? (error.field && this.inputOf(error.field));
    if (!input) {
      this.showError(error.message);
      return;
    }
    const group = input.closest("details");
    if (group) group.open = true;
    markField(input, error.message);
    (input.querySelector("button") ?? input).focus();
  }

  /// What shows a field of a request.
  inputOf(field) {
    // A method without subjects has phrases in their place.
    const isSubjects = ["subjects", "token_indices"].includes(field);
    if (isSubjects && this.isGuided) return at("words");
    const part = this.parts.map((each) => each.inputOf(field)).find(Boolean);
    if (part) return part;
    const name = isSubjects ? "phrases" : field.split(".").at(-1);
    return this.controls.get(name)?.input ?? (["prompt", "seeds"].includes(name) ? at(name) : null);
  }

  /// An error of no field.
  showError(message) {
    at("form-error").textContent = message;
    at("form-error").hidden = message === "";
    if (message === "") markField(at("words"));
  }

  setPrompt(prompt) {
    at("prompt").value = prompt;
    markField(at("prompt"));
    this.showError("");
    this.changed();
  }

  read() {
    const prompt = at("prompt").value.trim();
    if (!prompt) throw new FieldError(at("prompt"), "Prompt: write what to draw.");
    const request = { ...this.extras.settings, prompt };
    for (const control of this.all.filter(({ active }) => active)) {
      const { name, group } = control.option;
      const value = control.read();
      if (value === undefined) continue;
      if (group) request[group] = { ...request[group], [name]: value };
      else request[name] = value;
    }
    if (this.isGuided && this.words.isEmpty) throw new FieldError(at("words"), "Subjects: choose at least one word.");
    // In a prompt that changes over the steps a later text may have the subjects; the server knows.
    if (this.isGuided && this.words.lacksSubject && at("prompt_syntax").value !== "a1111")
      throw new FieldError(at("words"), "No subject found. Click the words that must appear.");
    Object.assign(request, this.words.choice, ...this.parts.map((part) => part.read()));
    const seeds = at("seeds").value.trim();
    if (seeds) request.seeds = this.readSeeds(seeds);
    request.compare = !at("compare").disabled && at("compare").checked;
    return request;
  }

  readSeeds(seeds) {
    try {
      return parseSeeds(seeds, this.options.properties.seeds.maxItems);
    } catch (error) {
      throw new FieldError(at("seeds"), `Seeds: ${error.message}.`);
    }
  }

  /// Fills the form with the settings of a picture; what they do not name goes back to its default.
  fill(settings) {
    at("prompt").value = settings.prompt;
    // Settings say the kind of the device that drew them, and may call the model by its title.
    const devices = [...at("device").options].map(({ value }) => value);
    const device = devices.find((id) => id === settings.device || id.startsWith(`${settings.device}:`));
    const model = this.models.find(({ title }) => title === settings.model)?.id ?? settings.model;
    const found = { ...settings, device, model };
    const write = (controls) => controls.forEach((control) => control.write(this.options.valueIn(found, control.option)));
    // What is the default depends on the model.
    write([this.controls.get("model")]);
    this.showDefaults();
    write(this.all);
    at("seeds").value = settings.seeds?.join(",") ?? settings.seed ?? "";
    at("compare").checked = settings.compare ?? false;
    for (const input of at("form").querySelectorAll("[aria-invalid]")) markField(input);
    this.showError("");
    this.words.fill(settings);
    for (const part of this.parts) part.fill(settings);
    this.extras.settings = this.unshown(settings);
    this.changed();
  }

  /// What settings say and no control shows, unless it is as without it.
  unshown(settings) {
    const ofPart = (name) => this.parts.some(({ names }) => names.includes(name));
    const isShown = (name) => OWN.includes(name) || ofPart(name) || this.controls.has(name);
    const isDefault = (name, value) =>
      JSON.stringify(value) === JSON.stringify(this.defaultOf({ ...this.options.properties[name], name, group: null }));
    const others = Object.entries(settings).flatMap(([name, value]) => {
      if (this.options.isGroup(name)) {
        const unknown = Object.entries(value ?? {}).filter(([member]) => !this.controls.has(member));
        return unknown.length > 0 ? [[name, Object.fromEntries(unknown)]] : [];
      }
      return (value ?? null) === null || isShown(name) || isDefault(name, value) ? [] : [[name, value]];
    });
    return Object.fromEntries(others);
  }

  changed() {
    this.showDefaults();
    for (const { option, root, input } of this.all) {
      root.hidden = !this.options.isReadBy(this.method, option.name);
      const needed = NEEDS[option.name];
      input.disabled = needed !== undefined && !at(needed).checked;
    }
    for (const group of at("method-groups").children)
      group.hidden = [...group.querySelector(".fields").children].every(({ hidden }) => hidden);
    for (const control of this.all) {
      control.showHint();
      control.showChange();
    }
    this.sizes.refresh();
    for (const part of this.parts) part.refresh();
    this.onRefresh();
    at("compare").disabled = at("method").value === PLAIN;
    const request = {
      model: at("model").value,
      prompt: at("prompt").value,
      prompt_syntax: at("prompt_syntax").value || null,
      long_prompts: at("long_prompts").value || null,
      ...Object.assign({}, ...this.parts.map((part) => part.tokens)),
    };
    this.words.refresh(request, this.isGuided);
    this.save();
  }

  /// Whether the method has subjects.
  get isGuided() {
    return this.method?.guides ?? false;
  }

  /// Models tell their defaults only once they were loaded.
  setModels(models) {
    this.models = models;
    this.showDefaults();
  }

  get defaults() {
    return this.models.find(({ id }) => id === at("model").value)?.defaults;
  }

  get lacksDefaults() {
    return !this.defaults;
  }

  /// What an empty field stands for: the model's value with the method, otherwise the method's own, otherwise the paper's.
  showDefaults() {
    for (const control of this.all) control.showDefault(this.defaultOf(control.option), this.lacksDefaults);
    at("width").step = at("height").step = this.defaults?.multiple ?? 8;
  }

  defaultOf(option) {
    return this.options.defaultOf(option, this.defaults, this.method);
  }

  save() {
    save("form", this.state);
  }

  /// All that is in the form, to be restored.
  get state() {
    const values = Object.fromEntries(["prompt", "seeds", ...this.controls.keys()].map((name) => [name, at(name).value]));
    const switches = ["compare", ...this.all.filter(({ kind }) => kind === "switch").map(({ input }) => input.id)];
    const flags = Object.fromEntries(switches.map((name) => [name, at(name).checked]));
    const parts = Object.fromEntries(this.parts.map((part) => [part.id, part.state]));
    return { values, flags, choice: this.words.remembered, chosenFor: this.words.chosenFor, extras: this.extras.settings, parts };
  }

  restore({ values = {}, flags = {}, choice = {}, chosenFor, extras = {}, parts = {} }) {
    for (const [name, value] of Object.entries(values)) {
      const input = at(name);
      // A model, a device or an option of the last visit may be gone.
      if (input && (input.tagName !== "SELECT" || [...input.options].some((option) => option.value === value)))
        input.value = value;
    }
    for (const [name, checked] of Object.entries(flags)) if (at(name)) at(name).checked = checked;
    this.words.choice = choice;
    this.words.chosenFor = chosenFor ?? at("prompt").value;
    this.extras.settings = extras;
    for (const part of this.parts) part.restore(parts[part.id]);
    this.changed();
  }
}
