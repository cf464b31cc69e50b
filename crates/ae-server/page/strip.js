// The pictures of one job in a row, below each other's detail.

import { api, jobOf } from "./api.js";
import { element } from "./dom.js";

const MOST = 200;

export class Strip {
  /// `onOpen` gets the entry that was chosen, `onError` what the server refused.
  constructor(root, { onOpen, onError }) {
    Object.assign(this, { root, onOpen, onError });
    this.entries = [];
  }

  /// Shows the job of an entry, if that has more pictures.
  async show(entry) {
    const job = jobOf(entry.id);
    if (this.job !== job) {
      this.job = job;
      this.root.hidden = true;
      this.entries = [];
      try {
        const { entries } = await api.gallery({ job, limit: MOST });
        // Another job may be shown by now.
        if (this.job !== job) return;
        this.entries = entries.reverse();
      } catch (error) {
        this.onError(error);
      }
      this.root.replaceChildren(...this.entries.map((each) => this.item(each)));
    }
    this.root.hidden = this.entries.length < 2;
    this.mark(entry.id);
  }

  mark(id) {
    for (const item of this.root.children) {
      const button = item.querySelector("button");
      if (item.dataset.id === id) button.setAttribute("aria-current", "true");
      else button.removeAttribute("aria-current");
    }
  }

  /// The next time the job is asked for again.
  forget() {
    this.job = undefined;
  }

  item(entry) {
    const { id, width, height } = entry;
    const name = `seed ${entry.settings.seed}`;
    const button = element(
      "button",
      { type: "button", title: name, onclick: () => this.onOpen(entry) },
      element("img", { src: api.pictureUrl(id), width, height, alt: name }),
    );
    const item = element("li", {}, button);
    item.dataset.id = id;
    return item;
  }
}
