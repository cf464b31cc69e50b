// The form: from its fields to a request and back.

import { element } from "./dom.js";
import { GUIDANCE_FIELDS, REQUEST_FIELDS, parseSeeds, randomSeed } from "./fields.js";
import { loadForm, saveForm } from "./store.js";
import { Words } from "./words.js";

const FLAGS = ["compare", "prompt_weighting", "smoothing"];
const ALL_FIELDS = { ...REQUEST_FIELDS, ...GUIDANCE_FIELDS };
/// The paper's values, for models that bring none.
const PAPER = { steps: 50, guidance_scale: 7.5, scale_factor: 20, attention_scale: 100 };

const at = (id) => document.getElementById(id);

export class Form {
  /// `onSubmit` gets the request.
  constructor({ info, models, devices, onSubmit }) {
    this.limits = info.limits;
    this.models = models;
    this.onSubmit = onSubmit;
    this.words = new Words(() => this.save());
    addOptions(
      "model",
      models.map(({ id, title }) => [id, title]),
    );
    addOptions(
      "device",
      devices.map(({ id, title }) => [id, title]),
    );
    addOptions(
      "scheduler",
      info.samplers.map((name) => [name, name]),
    );
    addOptions(
      "rng",
      info.rngs.map((name) => [name, name]),
    );
    at("width").max = at("height").max = info.limits.max_side;
    at("steps").max = info.limits.max_steps;

    at("form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.submit();
    });
    at("form").addEventListener("input", ({ target }) => {
      target.removeAttribute("aria-invalid");
      this.changed();
    });
    at("dice").addEventListener("click", () => {
      at("seeds").value = randomSeed();
      this.changed();
    });
    at("reset").addEventListener("click", () => this.fill({ prompt: at("prompt").value }));
    this.restore(loadForm());
  }

  /// Sends the request, or says what is wrong with it.
  submit() {
    this.showError("");
    try {
      this.onSubmit(this.read());
    } catch (error) {
      if (!(error instanceof FieldError)) throw error;
      this.showError(error.message);
      error.input.setAttribute("aria-invalid", "true");
      const group = error.input.closest("details");
      if (group) group.open = true;
      error.input.focus();
    }
  }

  showError(message) {
    at("form-error").textContent = message;
    at("form-error").hidden = message === "";
  }

  read() {
    const prompt = at("prompt").value.trim();
    if (!prompt) throw new FieldError(at("prompt"), "Prompt: write what to draw.");
    const request = { prompt, ...readFields(REQUEST_FIELDS), prompt_weighting: at("prompt_weighting").checked };
    const guided = request.method !== "stable-diffusion";
    if (guided && this.words.isEmpty)
      throw new FieldError(at("words").querySelector("button"), "Subjects: choose at least one word.");
    Object.assign(request, this.words.choice);
    const seeds = at("seeds").value.trim();
    if (seeds) request.seeds = readWith(at("seeds"), (value) => parseSeeds(value, this.limits.max_seeds));
    request.compare = guided && at("compare").checked;
    request.attend_and_excite = readFields(GUIDANCE_FIELDS);
    if (!at("smoothing").checked) request.attend_and_excite.smoothing = false;
    return request;
  }

  /// Fills the form with the settings of a picture; what they do not name goes back to its default.
  fill(settings) {
    const guidance = settings.attend_and_excite ?? {};
    at("prompt").value = settings.prompt;
    writeFields(REQUEST_FIELDS, settings);
    writeFields(GUIDANCE_FIELDS, {
      ...guidance,
      eot_normalization: guidance.eot_normalization === "auto" ? "" : guidance.eot_normalization,
    });
    at("seeds").value = settings.seeds?.join(",") ?? settings.seed ?? "";
    at("compare").checked = settings.compare ?? false;
    at("prompt_weighting").checked = settings.prompt_weighting ?? false;
    at("smoothing").checked = guidance.smoothing !== false;
    for (const input of at("form").querySelectorAll("[aria-invalid]")) input.removeAttribute("aria-invalid");
    this.showError("");
    this.words.choice = settings;
    this.changed();
  }

  changed() {
    this.showDefaults();
    const smoothing = at("smoothing").checked;
    at("sigma").disabled = at("kernel_size").disabled = !smoothing;
    at("compare").disabled = at("method").value === "stable-diffusion";
    this.words.refresh({
      model: at("model").value,
      prompt: at("prompt").value,
      prompt_weighting: at("prompt_weighting").checked,
    });
    this.save();
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

  /// What an empty field stands for, as its placeholder.
  showDefaults() {
    const { defaults } = this;
    for (const name of ["width", "height", "steps", "guidance_scale", "scale_factor", "attention_scale"]) {
      at(name).placeholder = defaults?.[name] ?? PAPER[name] ?? "the model’s";
    }
    at("width").step = at("height").step = defaults?.multiple ?? 8;
    at("scheduler").options[0].textContent = defaults ? `the model’s (${defaults.scheduler})` : "the model’s";
  }

  save() {
    const values = Object.fromEntries(
      ["prompt", "seeds", ...Object.keys(ALL_FIELDS)].map((name) => [name, at(name).value]),
    );
    const flags = Object.fromEntries(FLAGS.map((name) => [name, at(name).checked]));
    saveForm({ values, flags, choice: this.words.choice });
  }

  restore({ values = {}, flags = {}, choice = {} }) {
    for (const [name, value] of Object.entries(values)) {
      const input = at(name);
      // A model or device of the last visit may be gone.
      if (input.tagName !== "SELECT" || [...input.options].some((option) => option.value === value))
        input.value = value;
    }
    for (const [name, checked] of Object.entries(flags)) at(name).checked = checked;
    this.words.choice = choice;
    this.changed();
  }
}

class FieldError extends Error {
  constructor(input, message) {
    super(message);
    this.input = input;
  }
}

function readFields(fields) {
  const filled = Object.entries(fields).filter(([name]) => !at(name).disabled && hasText(at(name)));
  return Object.fromEntries(filled.map(([name, field]) => [name, readWith(at(name), field.parse)]));
}

/// A number field with other text in it has an empty value, but must not pass for empty.
function hasText(input) {
  return input.value.trim() !== "" || input.validity.badInput;
}

function readWith(input, parse) {
  try {
    return parse(input.value.trim());
  } catch (error) {
    throw new FieldError(input, `${input.labels[0].textContent}: ${error.message}.`);
  }
}

function writeFields(fields, settings) {
  for (const [name, field] of Object.entries(fields)) {
    const value = settings[name] ?? null;
    const input = at(name);
    const written = value === null ? "" : field.format(value);
    if (input.tagName === "SELECT") select(input, written);
    else input.value = written;
  }
}

/// Settings from elsewhere may name what is not here; it is kept, so that the server can say what is missing.
function select(input, value) {
  if (![...input.options].some((option) => option.value === value)) {
    if (value === "") {
      input.selectedIndex = 0;
      return;
    }
    addOptions(input.id, [[value, value]]);
  }
  input.value = value;
}

function addOptions(id, options) {
  at(id).append(...options.map(([value, title]) => element("option", { value, textContent: title })));
}
