// The card of the chosen model: what it is, what it can draw, and its download.

import { api } from "./api.js";
import { element } from "./dom.js";

const at = (id) => document.getElementById(id);

export class ModelCard {
  /// `onWord` gets a word that was clicked, `onArrived` is called when a model was downloaded.
  constructor({ onWord, onArrived, onError }) {
    Object.assign(this, { onWord, onArrived, onError });
    this.root = element("div", { id: "model-card" });
    at("model-slot").append(this.root);
    this.unknown = element("div", { id: "unknown-words", className: "warning", role: "status", hidden: true });
    at("words-warning").after(this.unknown);
  }

  /// Names what each model needs in the list of models.
  label(models) {
    for (const option of at("model").options) {
      const model = models.find(({ id }) => id === option.value);
      if (!model) continue;
      const size = model.bytes ? `, ${bytesText(model.bytes)}` : "";
      option.textContent = model.remote ? `${model.title} (to be downloaded${size})` : model.title;
    }
  }

  /// Shows a model.
  show(model) {
    const drawn = JSON.stringify([model, model?.download]);
    if (drawn === this.drawn) return;
    this.drawn = drawn;
    this.model = model;
    if (!model) {
      this.root.replaceChildren();
      return;
    }
    const state = model.remote ? "not downloaded" : model.loaded ? "loaded" : "on disk";
    const facts = [model.bytes && bytesText(model.bytes), model.licence && `licence: ${model.licence.replaceAll("`", "")}`, state];
    const parts = [
      model.description && element("p", { className: "hint", textContent: model.description }),
      element("p", { className: "hint", id: "model-facts", textContent: facts.filter(Boolean).join(" · ") }),
      model.vocabulary && this.words(model.vocabulary, model.defaults?.settings),
      model.remote && this.download(model),
    ];
    this.root.replaceChildren(...parts.filter(Boolean));
    if (model.download?.state === "running") this.follow(model.id);
  }

  words({ things, colours = [] }, size) {
    const count = Object.values(things).flat().length;
    const inColours = colours.length > 0 ? ` in ${colours.length} colours` : "";
    const pixels = size?.width ? `, ${size.width} × ${size.height}` : "";
    const group = (name, words, isColour) =>
      element(
        "div",
        { className: "chips", role: "group", "aria-label": name },
        ...words.map((word) =>
          element("button", { type: "button", className: "chip word", textContent: word, onclick: () => this.onWord(word, isColour) }),
        ),
      );
    const all = Object.entries(things).map(([name, words]) => group(name, words, false));
    const details = element(
      "details",
      { id: "model-words", className: "model-words" },
      element("summary", { textContent: `Draws ${count} things${inColours}${pixels}` }),
      element("p", { className: "hint", textContent: "Click a word to put it into the prompt. Others it has not learned." }),
      ...all,
    );
    if (colours.length > 0) details.append(group("colours", colours, true));
    return details;
  }

  download(model) {
    const running = model.download?.state === "running";
    const text = model.bytes ? `Download (${bytesText(model.bytes)})` : "Download";
    const begin = () => this.act(api.download(model.id));
    const button = element("button", { type: "button", id: "model-download", hidden: running, onclick: begin }, text);
    const progress = element("progress", { id: "model-progress", hidden: !running, "aria-label": `Download of ${model.title}` });
    const note = element("p", { id: "model-download-note", className: "hint", role: "status" });
    const cancel = element("button", { type: "button", id: "model-cancel", hidden: !running, onclick: () => api.cancelDownload(model.id).catch(this.onError) }, "Cancel");
    const part = element("div", { className: "field" }, button, progress, note, cancel);
    this.parts = { button, progress, note, cancel };
    if (model.download) this.tell(model.download);
    return part;
  }

  async act(request) {
    try {
      const view = await request;
      this.tell(view);
      this.follow(view.model);
    } catch (error) {
      this.onError(error);
    }
  }

  /// Listens to a download to its end.
  follow(id) {
    if (this.events && this.following === id) return;
    this.events?.close();
    this.following = id;
    this.events = api.downloadEvents(id);
    this.events.addEventListener("download", ({ data }) => {
      const view = JSON.parse(data);
      if (this.model?.id === id) this.tell(view);
      if (view.state === "running") return;
      this.events.close();
      this.events = undefined;
      if (view.state === "done") this.onArrived(id);
    });
  }

  tell({ state, bytes, total, doing, error }) {
    const { button, progress, note, cancel } = this.parts ?? {};
    if (!button) return;
    const running = state === "running";
    [button.hidden, progress.hidden, cancel.hidden] = [running, !running, !running];
    if (total > 0) [progress.max, progress.value] = [total, bytes];
    const texts = {
      running: `${bytesText(bytes)} of ${bytesText(total)}${doing ? ` · ${doing}` : ""}`,
      cancelled: `Stopped at ${bytesText(bytes)}; it goes on from there.`,
      failed: `The download failed: ${error}`,
      done: "Downloaded.",
    };
    note.textContent = texts[state] ?? "";
    note.classList.toggle("error", state === "failed");
  }

  /// Warns for nouns that the model has not learned.
  warn(unknown) {
    this.unknown.hidden = unknown.length === 0;
    const chips = unknown.map((word) => element("span", { className: "chip unknown", textContent: word }));
    this.unknown.replaceChildren("The model has not learned ", ...chips.flatMap((chip) => [chip, " "]), "– its words are listed below the model.");
  }
}

/// A number of bytes, as `ae models` writes it.
function bytesText(bytes) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  const power = bytes > 0 ? Math.min(Math.floor(Math.log10(bytes) / 3), units.length - 1) : 0;
  const value = bytes / 1000 ** power;
  return `${value.toFixed(power > 0 && value < 100 ? 1 : 0)} ${units[power]}`;
}

/// A prompt with a word more: a thing at its end, a colour before its last word.
export function withWord(prompt, word, isColour) {
  const text = prompt.trim();
  if (text === "") return `${article(word)} ${word}`;
  if (!isColour) return `${text} and ${article(word)} ${word}`;
  const words = text.split(/\s+/);
  const last = words.pop();
  if (["a", "an"].includes(words.at(-1)?.toLowerCase())) words[words.length - 1] = article(word);
  return [...words, word, last].join(" ");
}

function article(word) {
  return /^[aeiou]/i.test(word) ? "an" : "a";
}
