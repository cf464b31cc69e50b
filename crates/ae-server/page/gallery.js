// Finished pictures, newest first.

import { api } from "./api.js";
import { element } from "./dom.js";

const PAGE = 24;

const at = (id) => document.getElementById(id);

export class Gallery {
  /// `onOpen` gets the entry that was chosen.
  constructor(onOpen) {
    this.onOpen = onOpen;
    this.entries = [];
    this.total = 0;
    at("gallery-more").addEventListener("click", () => this.loadMore());
  }

  /// Fetches what is new.
  async refresh() {
    await this.load(undefined, (found) => {
      const known = new Set(this.entries.map(({ id }) => id));
      // Unless the newest page reaches what is known, there is a gap, and the list begins anew.
      if (!found.some(({ id }) => known.has(id))) return found;
      return [...found.filter(({ id }) => !known.has(id)), ...this.entries];
    });
  }

  async loadMore() {
    const { length } = this.entries;
    await this.load(this.entries.at(-1)?.id, (found) => [...this.entries, ...found]);
    at("gallery").children[length]?.querySelector("button").focus();
  }

  async load(before, merge) {
    try {
      const { total, entries } = await api.gallery(PAGE, before);
      this.entries = merge(entries);
      this.total = total;
      this.showError("");
    } catch (error) {
      this.showError(error.message);
    }
    this.draw();
  }

  find(id) {
    return this.entries.find((entry) => entry.id === id);
  }

  remove(id) {
    this.entries = this.entries.filter((entry) => entry.id !== id);
    this.total -= 1;
    this.draw();
    at("gallery-heading").focus();
  }

  showError(message) {
    at("gallery-error").textContent = message;
    at("gallery-error").hidden = message === "";
  }

  /// Thumbnails that are shown already are kept, with their pictures and the focus.
  draw() {
    const shown = new Map([...at("gallery").children].map((item) => [item.dataset.id, item]));
    const items = this.entries.map((entry) => shown.get(entry.id) ?? this.thumbnail(entry));
    const kept = new Set(items);
    for (const item of shown.values()) if (!kept.has(item)) item.remove();
    items.forEach((item, index) => {
      if (at("gallery").children[index] !== item)
        at("gallery").insertBefore(item, at("gallery").children[index] ?? null);
    });
    at("gallery-empty").hidden = this.total > 0;
    at("gallery-total").textContent = this.total > 0 ? `${this.total}` : "";
    at("gallery-more").hidden = this.entries.length >= this.total;
  }

  thumbnail(entry) {
    const { prompt, seed } = entry.settings;
    const picture = element("img", {
      loading: "lazy",
      src: api.pictureUrl(entry.id),
      width: entry.width,
      height: entry.height,
      alt: "",
    });
    const item = element(
      "li",
      {},
      element(
        "button",
        { type: "button", className: "thumbnail", title: prompt, onclick: () => this.onOpen(entry) },
        picture,
        element("span", { className: "thumbnail-prompt", textContent: prompt }),
        element("span", { className: "hint", textContent: `seed ${seed}${entry.plain ? ", compared" : ""}` }),
      ),
    );
    item.dataset.id = entry.id;
    return item;
  }
}
