// LoRAs, embeddings and the VAE that are loaded beside the model.

import { element, freshId } from "./dom.js";

const at = (id) => document.getElementById(id);

/// What can be added several times over: the name of its list in the settings and in the server's answer, and what it is called.
const LISTS = {
  loras: { text: "LoRA", fresh: (name) => ({ name, strength: 1 }), flag: "--lora-dir" },
  embeddings: { text: "Embedding", fresh: (name) => ({ name }), flag: "--embedding-dir" },
};

export class Additions {
  id = "additions";
  names = ["loras", "embeddings", "vae"];

  /// `adapters` are those of the server, `usual` gives the model's settings, in which stands what it is loaded with.
  constructor({ adapters, usual, onChange }) {
    this.adapters = adapters;
    this.usual = usual;
    this.onChange = onChange;
    this.chosen = {};
    const details = element("details", { id: "group-additions" }, element("summary", {}, "LoRAs, embeddings, VAE"));
    for (const [field, { text }] of Object.entries(LISTS)) {
      const add = element("select", { id: `add-${field}` });
      add.addEventListener("change", () => this.add(field, add.value));
      details.append(
        element("ul", { id: `chosen-${field}`, className: "additions", "aria-label": `Chosen: ${text}` }),
        element("div", { className: "field" }, element("label", { htmlFor: add.id }, `Add: ${text}`), add),
        element("p", { className: "hint", id: `hint-${field}` }),
      );
    }
    const vae = element("select", { id: "vae" });
    vae.addEventListener("change", () => {
      this.chosen.vae = vae.value === "" ? undefined : { name: vae.value };
      this.changed();
    });
    details.append(element("div", { className: "field" }, element("label", { htmlFor: "vae" }, "VAE"), vae));
    at("additions-slot").append(details);
    this.draw();
  }

  /// Those of a list that are chosen: the usual ones until somebody changes them.
  of(field) {
    return this.chosen[field] ?? this.usual()[field] ?? [];
  }

  set(field, items) {
    this.chosen[field] = items;
    this.changed();
  }

  add(field, name) {
    if (!name) return;
    this.set(field, [...this.of(field), LISTS[field].fresh(name)]);
    at(`chosen-${field}`).lastElementChild?.querySelector("input")?.focus();
  }

  changed() {
    this.draw();
    this.onChange();
  }

  /// Of the form: the model, and with it what is usual, may have changed.
  refresh() {
    const usual = JSON.stringify(this.usual());
    if (usual !== this.drawnFor) this.draw();
  }

  draw() {
    this.drawnFor = JSON.stringify(this.usual());
    for (const [field, { text, flag }] of Object.entries(LISTS)) {
      const known = this.adapters[field];
      const items = this.of(field);
      at(`chosen-${field}`).replaceChildren(...items.map((item, index) => this.row(field, item, index)));
      const free = known.filter(({ name }) => !items.some((item) => item.name === name));
      const option = (value, textContent) => element("option", { value, textContent });
      at(`add-${field}`).replaceChildren(option("", `Choose…`), ...free.map(({ name }) => option(name, name)));
      at(`add-${field}`).disabled = free.length === 0;
      at(`hint-${field}`).hidden = known.length > 0;
      at(`hint-${field}`).replaceChildren("There is none: ", element("code", {}, `ae serve ${flag} DIR`), ` offers the files of a folder (${text}).`);
    }
    const { vae } = this.chosen;
    const names = this.adapters.vaes.map(({ name }) => name);
    if (vae && !names.includes(vae.name)) names.push(vae.name);
    const usual = this.adapters.vaes.find(({ usual }) => usual)?.name ?? "the model's own";
    at("vae").replaceChildren(
      element("option", { value: "", textContent: `As started (${usual})` }),
      ...names.map((name) => element("option", { value: name, textContent: name })),
    );
    at("vae").value = vae?.name ?? "";
  }

  row(field, item, index) {
    const items = this.of(field);
    const change = (changes) => {
      const next = items.with(index, { ...items[index], ...changes });
      this.chosen[field] = next;
      this.onChange();
    };
    const parts =
      field === "loras"
        ? [
            this.number(`Strength of ${item.name}`, item.strength ?? 1, (strength) => change({ strength })),
            this.number(`Strength of ${item.name} in the U-Net, if another`, item.unet_strength, (strength) => change({ unet_strength: strength })),
          ]
        : [this.token(item, (token) => change({ token }))];
    const isHere = this.adapters[field].some(({ name }) => name === item.name || name.split("/").at(-1) === item.name);
    return element(
      "li",
      {},
      element("span", { className: "addition-name", textContent: isHere ? item.name : `${item.name} (looked for by its hash)` }),
      ...parts,
      element(
        "button",
        {
          type: "button",
          "aria-label": `Remove: ${item.name}`,
          onclick: () => {
            this.set(field, items.toSpliced(index, 1));
            at(`add-${field}`).focus();
          },
        },
        "Remove",
      ),
    );
  }

  number(label, value, onValue) {
    const input = element("input", { type: "number", step: 0.05, min: -4, max: 4, id: freshId("addition") });
    input.value = value ?? "";
    input.placeholder = value === undefined ? "same" : "1";
    input.setAttribute("aria-label", label);
    input.title = label;
    input.addEventListener("change", () => onValue(Number.isNaN(input.valueAsNumber) ? undefined : input.valueAsNumber));
    return input;
  }

  token(item, onValue) {
    const input = element("input", { autocomplete: "off", value: item.token ?? "", placeholder: "its own token", id: freshId("addition") });
    input.setAttribute("aria-label", `Token of ${item.name}`);
    input.addEventListener("change", () => onValue(input.value.trim() || undefined));
    return input;
  }

  /// The part of a request: nothing where all is as usual.
  read() {
    return Object.fromEntries(Object.entries(this.chosen).filter(([, value]) => value !== undefined));
  }

  /// What brings tokens to a prompt.
  get tokens() {
    const { loras, embeddings } = this.read();
    return { loras: loras ?? null, embeddings: embeddings ?? null };
  }

  inputOf(field) {
    if (field === "vae") return at("vae");
    return LISTS[field] && at(`add-${field}`);
  }

  /// Takes the settings of a picture; what is as usual stays so.
  fill(settings) {
    const usual = this.usual();
    const differs = (field) => JSON.stringify(settings[field] ?? []) !== JSON.stringify(usual[field] ?? []);
    this.chosen = {};
    for (const field of Object.keys(LISTS)) if (settings[field] && differs(field)) this.chosen[field] = settings[field];
    if (settings.vae && settings.vae.sha256 !== usual.vae?.sha256) this.chosen.vae = settings.vae;
    this.open();
    this.draw();
  }

  /// Shows the group where something in it is not as usual.
  open() {
    if (Object.keys(this.read()).length > 0) at("group-additions").open = true;
  }

  get state() {
    return this.chosen;
  }

  restore(state) {
    this.chosen = state ?? {};
    this.open();
    this.draw();
  }
}
