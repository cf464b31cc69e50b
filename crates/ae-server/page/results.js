// What becomes of pictures, tied together: gallery, trash, one picture, two on one stage, the seeds of a job, plots.

import { api } from "./api.js";
import { Detail } from "./detail.js";
import { Gallery } from "./gallery.js";
import { Plot } from "./plot.js";
import { Seeds } from "./seeds.js";
import { Selection } from "./selection.js";
import { Swipe } from "./swipe.js";
import { Trash } from "./trash.js";

const at = (id) => document.getElementById(id);

/// Most entries of one answer of the server.
const MOST = 200;

export class Results {
  /// `onCancel` gets a job, `onError` what went wrong, `announce` short news.
  constructor({ onCancel, onError, announce }) {
    this.onError = onError;
    const onFavourite = (id, favourite) => this.setFavourite(id, favourite);
    const onCompare = (entries) => this.compare(entries);
    this.gallery = new Gallery({
      onOpen: (entry) => this.detail.open(entry, this.gallery),
      onFavourite,
      onSelect: () => this.selection.draw(),
      onDrop: (ids) => [this.seeds, this.plot].forEach((each) => each.drop(ids)),
    });
    const { gallery } = this;
    this.trash = new Trash({
      gallery,
      onRestored: (entry) => [this.seeds, this.plot].forEach((each) => each.show(entry)),
      onError: ({ message }) => gallery.showError(message),
      announce,
    });
    this.swipe = new Swipe();
    this.selection = new Selection({ gallery, onCompare, onDelete: (entries) => this.trash.discard(entries) });
    this.seeds = new Seeds({
      onOpen: ({ id }, picture) => this.open([id], picture),
      onPick: onFavourite,
      onDiscard: (ids) => this.discard(ids),
    });
    this.plot = new Plot({
      onOpen: (picture, jobs) => this.open(jobs, picture),
      onCancel: (jobs) => jobs.forEach(onCancel),
      onError,
    });
    this.onDetail = {
      onDelete: (entry) => this.trash.discard([entry]),
      onFavourite: ({ id, favourite }) => this.setFavourite(id, !favourite),
      onCompare,
      // What was opened elsewhere may be gone by now.
      onClosed: ({ id }) => gallery.focus(id) || document.activeElement !== document.body || at("gallery-heading").focus(),
    };
  }

  /// Options and models are known: `onUse` and `onAgain` are those of [`Detail`].
  begin({ view, options, models, onUse, onAgain }) {
    this.options = options;
    this.detail = new Detail({ view, options, onUse, onAgain, ...this.onDetail });
    this.gallery.setChoices(options, models);
  }

  refresh() {
    return Promise.all([this.gallery.refresh(), this.trash.refresh()]);
  }

  /// A new state of the job that is followed.
  update(job) {
    this.seeds.update(job);
    this.plot.update([job]);
  }

  /// Opens a picture of some jobs, otherwise their first; from there one goes to the others.
  async open(jobs, picture) {
    try {
      const found = await Promise.all(jobs.map((job) => api.gallery({ job, limit: MOST })));
      const entries = found.flatMap((each) => each.entries.reverse());
      const entry = picture ? entries.find(({ id }) => id === picture) : entries[0];
      if (!entry) throw new Error(picture ? "This picture is deleted." : "The pictures of this job are deleted.");
      await this.detail.open(entry, { entries });
    } catch (error) {
      this.onError(error);
    }
  }

  /// An entry by its name; the gallery may show others only.
  async entry(id) {
    return this.gallery.find(id) ?? (await api.entry(id));
  }

  async setFavourite(id, favourite) {
    const entry = await this.gallery.setFavourite(id, favourite);
    if (entry) this.seeds.show(entry);
    return entry;
  }

  async discard(ids) {
    try {
      await this.trash.discard(await Promise.all(ids.map((id) => this.entry(id))));
    } catch (error) {
      this.onError(error);
    }
  }

  /// Two pictures on one stage, or the plain and the guided one of an entry.
  compare([one, other]) {
    const { width, height } = one;
    const picture = (entry, name) => ({ url: api.pictureUrl(entry.id), name, width, height });
    const named = (entry) => picture(entry, `${entry.settings.prompt}, seed ${entry.settings.seed}`);
    if (other) {
      this.swipe.open(named(one), named(other));
      return;
    }
    // Pictures of before there were methods were all made by one.
    const guided = picture(one, this.options.methodTitle(one.settings.method ?? "attend-and-excite"));
    this.swipe.open({ ...guided, url: api.plainUrl(one.id), name: this.options.methodTitle("stable-diffusion") }, guided);
  }
}
