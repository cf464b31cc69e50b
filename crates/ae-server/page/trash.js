// Deleting with undo: a notice right after it, and the trash, which the server keeps for a day.

import { api } from "./api.js";
import { element } from "./dom.js";

const at = (id) => document.getElementById(id);
const pictures = (count) => (count === 1 ? "1 picture" : `${count} pictures`);

export class Trash {
  /// `onRestored` gets an entry that is there again, `onError` what the server refused, `announce` short news.
  constructor({ gallery, onRestored, onError, announce }) {
    Object.assign(this, { gallery, onRestored, onError, announce });
    at("undo-button").addEventListener("click", () => this.undo());
    at("undo-close").addEventListener("click", () => this.hideNotice());
    at("trash-empty").addEventListener("click", () => this.ask(true));
    at("trash-keep").addEventListener("click", () => this.ask(false));
    at("trash-confirm").addEventListener("click", () => this.empty());
    // Above a dialog that is open, otherwise nobody would see it.
    at("detail").addEventListener("close", () => at("gallery-heading").after(at("undo")));
  }

  /// Deletes entries; those that cannot be stay. Returns how many are gone.
  async discard(entries) {
    const gone = await this.each(entries, ({ id }) => api.remove(id));
    if (gone.length === 0) return 0;
    this.undoable = gone.map(({ id }) => id);
    this.gallery.drop(this.undoable);
    const text = `${pictures(gone.length)} moved to the trash.`;
    at("undo-text").textContent = text;
    (at("detail").open ? at("detail-date") : at("gallery-heading")).after(at("undo"));
    at("undo").hidden = false;
    this.announce(text);
    if (!at("detail").open) at("undo-button").focus();
    await this.refresh();
    return gone.length;
  }

  async undo() {
    const { undoable } = this;
    this.hideNotice();
    await this.restore(undoable);
  }

  hideNotice() {
    const hadFocus = at("undo").contains(document.activeElement);
    at("undo").hidden = true;
    if (hadFocus) (at("detail").open ? at("detail-title") : at("gallery-heading")).focus();
  }

  async restore(ids) {
    const restored = [];
    await this.each(ids, async (id) => restored.push(await api.restore(id)));
    if (this.undoable?.every((id) => ids.includes(id))) this.hideNotice();
    // Where they stand, and whether they are among those that are searched for, the server knows.
    await this.gallery.refresh();
    if (!this.gallery.isFiltered) this.gallery.put(restored);
    restored.forEach(this.onRestored);
    this.announce(`${pictures(restored.length)} restored.`);
    if (!at("detail").open) this.gallery.focus(restored[0]?.id);
    await this.refresh();
  }

  /// Does something with each; returns those with which it was done.
  async each(all, act) {
    const done = [];
    for (const one of all) {
      try {
        await act(one);
        done.push(one);
      } catch (error) {
        this.onError(error);
      }
    }
    return done;
  }

  ask(ask) {
    at("trash-question").hidden = !ask;
    at("trash-empty").hidden = ask;
    at(ask ? "trash-keep" : "trash-empty").focus();
  }

  async empty() {
    try {
      await api.emptyTrash();
      this.hideNotice();
      this.announce("The trash is empty.");
    } catch (error) {
      this.onError(error);
    }
    this.ask(false);
    await this.refresh();
    if (at("trash").hidden) at("gallery-heading").focus();
  }

  async refresh() {
    try {
      const { total, entries } = await api.trash();
      at("trash").hidden = total === 0;
      at("trash-count").textContent = `${total}`;
      at("trash-text").textContent = `Delete ${pictures(total)} for good?`;
      at("trash-list").replaceChildren(...entries.map((entry) => this.item(entry)));
    } catch (error) {
      this.onError(error);
    }
  }

  item({ id, settings, width, height }) {
    const { prompt, seed } = settings;
    const picture = element("img", { loading: "lazy", src: api.trashedUrl(id), width, height, alt: "" });
    const text = element(
      "span",
      { className: "trash-text" },
      element("span", { className: "thumbnail-prompt", textContent: prompt }),
      element("span", { className: "hint", textContent: `seed ${seed}` }),
    );
    const button = element(
      "button",
      { type: "button", "aria-label": `Restore: ${prompt}, seed ${seed}`, onclick: () => this.restore([id]) },
      "Restore",
    );
    const item = element("li", {}, picture, text, button);
    item.dataset.id = id;
    return item;
  }
}
