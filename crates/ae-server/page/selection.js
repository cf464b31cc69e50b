// What can be done with several pictures of the gallery at once.

import { api } from "./api.js";

const at = (id) => document.getElementById(id);

/// Most pictures of one zip file.
const MOST = 200;

export class Selection {
  /// `onCompare` gets two entries, `onDelete` entries.
  constructor({ gallery, onCompare, onDelete }) {
    this.gallery = gallery;
    at("selection-all").addEventListener("click", () =>
      gallery.select(
        gallery.entries.map(({ id }) => id),
        true,
      ),
    );
    at("selection-none").addEventListener("click", () => {
      gallery.select([...gallery.selected], false);
      at("gallery-heading").focus();
    });
    at("selection-compare").addEventListener("click", () => onCompare(this.entries));
    at("selection-delete").addEventListener("click", () => onDelete(this.entries));
    this.draw();
  }

  /// The selected entries, the oldest first.
  get entries() {
    return this.gallery.entries.filter(({ id }) => this.gallery.selected.has(id)).reverse();
  }

  draw() {
    const { length } = this.entries;
    at("selection").hidden = length === 0;
    at("selection-count").textContent = `${length} selected`;
    at("selection-compare").disabled = length !== 2;
    at("selection-compare").title = length === 2 ? "" : "Select two pictures to compare them";
    const isTooMany = length > MOST;
    at("selection-zip").hidden = isTooMany;
    if (!isTooMany) at("selection-zip").href = api.zipUrl(this.entries.map(({ id }) => id));
    at("selection-note").textContent = isTooMany ? `A zip file has at most ${MOST} pictures.` : "";
  }
}
