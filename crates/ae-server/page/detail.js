// The dialog with one finished picture.

import { api } from "./api.js";
import { settingsTable } from "./settings.js";

const at = (id) => document.getElementById(id);

export class Detail {
  /// `onUse` gets the settings of the picture, `onAgain` those for another seed, `onRemoved` the id of a deleted picture.
  constructor({ view, options, onUse, onAgain, onRemoved }) {
    this.view = view;
    this.options = options;
    this.onRemoved = onRemoved;
    this.dialog = at("detail");
    const close = (act) => () => {
      const settings = this.settings;
      this.dialog.close();
      act(settings);
    };
    at("detail-use").addEventListener("click", close(onUse));
    at("detail-again").addEventListener("click", close(onAgain));
    at("detail-close").addEventListener("click", () => this.dialog.close());
    at("detail-delete").addEventListener("click", () => this.askToDelete(true));
    at("detail-keep").addEventListener("click", () => this.askToDelete(false));
    at("detail-confirm-delete").addEventListener("click", () => this.remove());
    this.dialog.addEventListener("close", () => {
      this.entry = undefined;
      this.view.clear();
    });
  }

  /// The settings of the shown picture, as a request has them.
  get settings() {
    const { seed, ...settings } = this.entry.settings;
    return { ...settings, seeds: [seed], compare: this.entry.plain };
  }

  async open(entry) {
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
    this.showConfirmation(false);
    this.showError("");
    this.dialog.showModal();
    this.dialog.scrollTop = 0;
    try {
      const record = await api.record(entry.id);
      // Another picture, or none, may be open by now.
      if (this.entry === entry) this.view.setRecord(record);
    } catch (error) {
      this.showError(error.message);
    }
  }

  link(id, href, name) {
    at(id).href = href;
    at(id).download = name;
  }

  askToDelete(ask) {
    this.showConfirmation(ask);
    at(ask ? "detail-keep" : "detail-delete").focus();
  }

  showConfirmation(shown) {
    at("detail-confirm").hidden = !shown;
    at("detail-delete").hidden = shown;
  }

  async remove() {
    const { id } = this.entry;
    try {
      await api.remove(id);
      this.dialog.close();
      this.onRemoved(id);
    } catch (error) {
      this.showError(error.message);
    }
  }

  showError(message) {
    at("detail-error").textContent = message;
    at("detail-error").hidden = message === "";
  }
}
