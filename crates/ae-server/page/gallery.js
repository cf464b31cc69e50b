// Finished pictures, newest first: found, marked as favourites and selected.

import { api } from "./api.js";
import { element } from "./dom.js";

const PAGE = 24;
/// Milliseconds without a key after which a search begins.
const DELAY = 250;

const at = (id) => document.getElementById(id);

export class Gallery {
  /// `onOpen` gets the entry that was chosen, `onFavourite` the name of one and whether it shall be a favourite, `onSelect`
  /// nothing: the selection is other than before; `onDrop` names of entries that are gone.
  constructor({ onOpen, onFavourite, onSelect, onDrop }) {
    Object.assign(this, { onOpen, onFavourite, onSelect, onDrop });
    this.entries = [];
    this.selected = new Set();
    this.total = 0;
    this.more = false;
    at("gallery-more").addEventListener("click", () => this.loadMore(true));
    at("gallery-filter").addEventListener("input", ({ target }) => {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.refresh(), target.type === "search" ? DELAY : 0);
    });
  }

  /// The choices of the filters: methods of the options, models of the server.
  setChoices(options, models) {
    const choice = (value, textContent) => element("option", { value, textContent });
    at("gallery-method").append(...options.methods.map(({ name, title }) => choice(name, title)));
    at("gallery-model").append(...models.map(({ id, title }) => choice(id, title)));
  }

  /// What the filters ask for.
  get wanted() {
    const all = {
      search: at("gallery-search").value.trim(),
      method: at("gallery-method").value,
      model: at("gallery-model").value,
      favourite: at("gallery-favourites").checked ? "true" : "",
    };
    return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== ""));
  }

  get isFiltered() {
    return Object.keys(this.wanted).length > 0;
  }

  /// Fetches the newest page again. What was loaded beyond it stays, unless something is missing between the two.
  async refresh() {
    const wanted = JSON.stringify(this.wanted);
    await this.load(undefined, (found, more) => {
      const last = found.at(-1)?.id;
      const older = more ? this.entries.filter(({ id }) => id < last) : [];
      const isGap = wanted !== this.shownFor || (this.entries.length > 0 && this.entries[0].id < last);
      this.shownFor = wanted;
      if (isGap || older.length === 0) this.more = more;
      return isGap ? found : [...found, ...older];
    });
  }

  /// Loads the next page; `focus` puts the focus on its first picture.
  async loadMore(focus = false) {
    const { length } = this.entries;
    await this.load(this.entries.at(-1)?.id, (found, more) => {
      this.more = more;
      return [...this.entries, ...found];
    });
    if (focus) this.focus(this.entries[length]?.id);
  }

  async load(before, merge) {
    const request = api.gallery({ ...this.wanted, limit: PAGE, ...(before && { before }) });
    this.request = request;
    try {
      const { total, more, entries } = await request;
      // A later answer has come before this one.
      if (this.request !== request) return;
      this.entries = merge(entries, more);
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

  /// Puts the focus on a thumbnail; false where it is not shown.
  focus(id) {
    const thumbnail = at("gallery").querySelector(`li[data-id="${CSS.escape(id ?? "")}"] .thumbnail`);
    thumbnail?.focus();
    return thumbnail !== null;
  }

  /// Entries are no longer there.
  drop(ids) {
    this.entries = this.entries.filter(({ id }) => !ids.includes(id));
    this.total -= ids.length;
    this.select(ids, false);
    this.draw();
    this.onDrop(ids);
  }

  /// Entries are there again, or other than before. Those of pages that are not loaded come with their page.
  put(entries) {
    const last = this.entries.at(-1)?.id;
    const loaded = entries.filter(({ id }) => !this.more || id >= last);
    const others = this.entries.filter(({ id }) => !entries.some((entry) => entry.id === id));
    this.entries = [...others, ...loaded].toSorted((a, b) => (a.id < b.id ? 1 : -1));
    this.draw();
  }

  async setFavourite(id, favourite) {
    try {
      const entry = await api.setFavourite(id, favourite);
      if (this.find(id)) this.put([entry]);
      return entry;
    } catch (error) {
      this.showError(error.message);
      return undefined;
    }
  }

  select(ids, selected) {
    for (const id of ids) {
      if (selected) this.selected.add(id);
      else this.selected.delete(id);
    }
    for (const item of at("gallery").children)
      item.querySelector("[type=checkbox]").checked = this.selected.has(item.dataset.id);
    this.onSelect();
  }

  showError(message) {
    at("gallery-error").textContent = message;
    at("gallery-error").hidden = message === "";
  }

  /// Models that drew pictures and are not here any more can be chosen, too.
  addModels() {
    const known = [...at("gallery-model").options].map(({ value }) => value);
    const used = new Set(this.entries.map(({ settings }) => settings.model).filter(Boolean));
    for (const name of used)
      if (!known.includes(name)) at("gallery-model").append(element("option", { value: name, textContent: name }));
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
      item.querySelector(".star").setAttribute("aria-pressed", this.entries[index].favourite);
    });
    this.addModels();
    at("gallery-filter").hidden = this.total === 0;
    at("gallery-empty").hidden = this.entries.length > 0;
    at("gallery-empty").textContent =
      this.total > 0 ? "No picture is as the search asks for." : "Finished pictures appear here.";
    const some = `${this.entries.length}${this.more ? "+" : ""} of ${this.total}`;
    at("gallery-total").textContent = this.total === 0 ? "" : this.isFiltered ? some : `${this.total}`;
    at("gallery-more").hidden = !this.more;
  }

  thumbnail(entry) {
    const { id } = entry;
    const { prompt, seed } = entry.settings;
    const name = `${prompt}, seed ${seed}`;
    const picture = element("img", {
      loading: "lazy",
      src: api.pictureUrl(id),
      width: entry.width,
      height: entry.height,
      alt: "",
    });
    const item = element(
      "li",
      {},
      element(
        "button",
        { type: "button", className: "thumbnail", title: prompt, onclick: () => this.onOpen(this.find(id) ?? entry) },
        picture,
        element("span", { className: "thumbnail-prompt", textContent: prompt }),
        element("span", { className: "hint", textContent: `seed ${seed}${entry.plain ? ", compared" : ""}` }),
      ),
      element("input", {
        type: "checkbox",
        className: "pick",
        checked: this.selected.has(id),
        "aria-label": `Select: ${name}`,
        onchange: ({ target }) => this.select([id], target.checked),
      }),
      element("button", {
        type: "button",
        className: "star",
        title: "Favourite",
        "aria-label": `Favourite: ${name}`,
        onclick: ({ target }) => this.onFavourite(id, target.getAttribute("aria-pressed") !== "true"),
      }),
    );
    item.dataset.id = id;
    return item;
  }
}
