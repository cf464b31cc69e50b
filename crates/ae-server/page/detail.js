// The dialog with one finished picture, from which one goes to the next.

import { api } from "./api.js";
import { closeBeside } from "./dialog.js";
import { settingsTable } from "./settings.js";
import { Strip } from "./strip.js";

const at = (id) => document.getElementById(id);
/// What takes letters, arrows or Del for itself.
const TAKES_KEYS = "input, select, textarea";

export class Detail {
  /// `onUse` gets the settings of the picture, `onAgain` those for another seed, `onDelete` an entry and
  /// returns whether it is gone, `onFavourite` an entry and returns its new
  /// state, `onCompare` two entries, or one with its plain picture; `onClosed` the last entry.
  constructor({ view, options, onUse, onAgain, onDelete, onFavourite, onCompare, onClosed }) {
    Object.assign(this, { view, options, onDelete, onFavourite, onCompare, onClosed });
    this.dialog = at("detail");
    this.strip = new Strip(at("detail-strip"), {
      onOpen: (entry) => this.show(entry),
      onError: ({ message }) => this.showError(message),
    });
    const close = (act) => () => {
      const { settings } = this;
      this.entry = undefined;
      this.dialog.close();
      act(settings);
    };
    at("detail-use").addEventListener("click", close(onUse));
    at("detail-again").addEventListener("click", close(onAgain));
    at("detail-close").addEventListener("click", () => this.dialog.close());
    at("detail-delete").addEventListener("click", () => this.remove());
    at("detail-previous").addEventListener("click", () => this.go(-1));
    at("detail-next").addEventListener("click", () => this.go(1));
    at("detail-compare").addEventListener("click", () => this.compare());
    at("detail-favourite").addEventListener("click", () => this.toggleFavourite());
    this.dialog.addEventListener("keydown", (event) => this.press(event));
    closeBeside(this.dialog);
    this.dialog.addEventListener("close", () => {
      const { entry } = this;
      this.entry = undefined;
      this.view.clear();
      this.strip.forget();
      // Elsewhere the focus is where it was, unless that is gone.
      if (entry && (this.opener.closest("#gallery") || !this.opener.isConnected)) this.onClosed(entry);
    });
  }

  /// The settings of the shown picture, as a request has them.
  get settings() {
    const { seed, ...settings } = this.entry.settings;
    return { ...settings, seeds: [seed], compare: this.entry.plain };
  }

  /// Opens an entry; `around` has the entries to go to from it, and may load more of them.
  async open(entry, around = { entries: [entry] }) {
    this.around = around;
    this.opener = document.activeElement;
    this.dialog.showModal();
    // First the name of what is here, then what can be done with it.
    at("detail-title").focus();
    await this.show(entry);
  }

  async show(entry) {
    this.entry = entry;
    const { prompt, seed } = entry.settings;
    at("detail-title").textContent = prompt;
    at("detail-date").textContent =
      `Seed ${seed} · ${entry.width} × ${entry.height} · ${new Date(entry.created).toLocaleString()}`;
    at("detail-settings").replaceChildren(settingsTable(entry.settings, this.options));
    this.link("detail-png", api.pictureUrl(entry.id), `${seed}.png`);
    this.link("detail-plain", api.plainUrl(entry.id), `${seed}-plain.png`);
    this.link("detail-report", api.reportUrl(entry.id), `${seed}-report.html`);
    at("detail-plain").hidden = !entry.plain;
    at("detail-favourite").setAttribute("aria-pressed", entry.favourite);
    this.showNeighbours();
    this.showError("");
    this.dialog.scrollTop = 0;
    this.view.clear();
    this.strip.show(entry);
    try {
      const record = await api.record(entry.id);
      // Another picture, or none, may be open by now.
      if (this.entry === entry) this.view.setRecord(record);
    } catch (error) {
      if (this.entry === entry) this.showError(error.message);
    }
  }

  /// The entry that stands so many places further.
  neighbour(places) {
    const { entries } = this.around;
    return entries[entries.findIndex(({ id }) => id === this.entry.id) + places];
  }

  showNeighbours() {
    at("detail-previous").disabled = !this.neighbour(-1);
    at("detail-next").disabled = !this.neighbour(1) && !this.around.more;
    const other = this.entry.plain ? "the plain picture" : "the next picture";
    at("detail-compare").textContent = `Compare with ${other}`;
    at("detail-compare").disabled = !this.entry.plain && !this.other;
  }

  /// What a picture without a plain one is compared with.
  get other() {
    return this.neighbour(1) ?? this.neighbour(-1);
  }

  async go(places) {
    if (places > 0 && !this.neighbour(1) && this.around.more) await this.around.loadMore();
    const entry = this.neighbour(places);
    if (entry) await this.show(entry);
  }

  compare() {
    if (this.entry.plain) this.onCompare([this.entry]);
    else if (this.other) this.onCompare([this.entry, this.other]);
  }

  async toggleFavourite() {
    const entry = await this.onFavourite(this.entry);
    if (!entry || entry.id !== this.entry?.id) return;
    this.entry = entry;
    at("detail-favourite").setAttribute("aria-pressed", entry.favourite);
  }

  /// Deletes the shown picture and goes on to the next; after the last one the dialog closes.
  async remove() {
    const { entry } = this;
    const next = this.other;
    // A key that is held down is one deletion.
    if (this.removing === entry) return;
    this.removing = entry;
    const isGone = await this.onDelete(entry);
    this.removing = undefined;
    if (!isGone) return;
    this.around.entries = this.around.entries.filter(({ id }) => id !== entry.id);
    this.strip.forget();
    if (this.entry !== entry) return;
    if (next) await this.show(next);
    else this.dialog.close();
  }

  press(event) {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.target.matches(TAKES_KEYS)) return;
    const keys = {
      ArrowLeft: () => this.go(-1),
      ArrowRight: () => this.go(1),
      d: () => this.compare(),
      f: () => this.toggleFavourite(),
      Delete: () => this.remove(),
    };
    const act = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }

  link(id, href, name) {
    at(id).href = href;
    at(id).download = name;
  }

  showError(message) {
    at("detail-error").textContent = message;
    at("detail-error").hidden = message === "";
  }
}
