// A job of several seeds as a grid that fills while it is drawn, to compare its pictures and to pick the best.

import { api } from "./api.js";
import { element } from "./dom.js";
import { isOpen } from "./jobs.js";

const at = (id) => document.getElementById(id);

export class Seeds {
  /// `onOpen` gets a job and the name of one of its entries, `onPick` such a name and whether it is picked and returns its
  /// new state, `onDiscard` names and returns how many are gone.
  constructor({ onOpen, onPick, onDiscard }) {
    Object.assign(this, { onOpen, onPick, onDiscard });
    this.cells = new Map();
    at("seeds-discard").addEventListener("click", () => this.discard());
  }

  /// A job, or a new state of it; one of a single seed has no grid.
  update(job) {
    if (!job) return;
    if (this.job?.id !== job.id) this.begin(job);
    this.job = job;
    const { seeds } = job.request;
    seeds.forEach((seed, index) => {
      const cell = this.cells.get(seed);
      const isRunning = job.state === "running" && job.run?.seed === seed;
      const id = job.pictures[index];
      if (id && cell.id === undefined) this.finish(cell, id, seed);
      if (cell.id !== undefined) return;
      cell.state.textContent = isRunning ? "drawing" : isOpen(job) ? "waiting" : "not drawn";
    });
    this.draw();
  }

  begin(job) {
    const seeds = [...new Set(job.request.seeds)];
    at("seeds-grid").hidden = seeds.length < 2;
    this.cells = new Map(seeds.map((seed) => [seed, this.cell(seed)]));
    at("seeds-cells").replaceChildren(...[...this.cells.values()].map(({ root }) => root));
  }

  cell(seed) {
    const picture = element("img", { alt: "", hidden: true });
    const state = element("span", { className: "hint", textContent: "waiting" });
    const open = element(
      "button",
      { type: "button", className: "thumbnail", disabled: true },
      element("span", { className: "seed-picture" }, picture),
      element("span", { textContent: `seed ${seed}` }),
      state,
    );
    const pick = element("button", {
      type: "button",
      className: "star",
      hidden: true,
      title: "Favourite",
      "aria-pressed": "false",
      "aria-label": `Favourite: seed ${seed}`,
    });
    const root = element("li", {}, open, pick);
    root.dataset.seed = seed;
    return { root, picture, state, open, pick };
  }

  /// What the seed that is drawn looks like by now.
  preview(seed, url) {
    const cell = this.cells.get(seed);
    if (!url || !cell || cell.id !== undefined) return;
    cell.picture.src = url;
    cell.picture.hidden = false;
  }

  finish(cell, id, seed) {
    cell.id = id;
    cell.picture.src = api.pictureUrl(id);
    cell.picture.hidden = false;
    cell.state.textContent = "done";
    cell.open.disabled = false;
    cell.open.addEventListener("click", () => this.onOpen(this.job, id));
    cell.open.setAttribute("aria-label", `Enlarge: seed ${seed}`);
    cell.pick.hidden = false;
    cell.pick.addEventListener("click", async () => {
      const isPicked = cell.pick.getAttribute("aria-pressed") === "true";
      const entry = await this.onPick(id, !isPicked);
      if (entry) this.show(entry);
    });
  }

  /// An entry has changed, or is there again.
  show({ id, favourite }) {
    const cell = [...this.cells.values()].find((each) => each.id === id);
    if (!cell) return;
    cell.pick.setAttribute("aria-pressed", favourite);
    this.setGone(cell, false);
  }

  /// Entries are gone.
  drop(ids) {
    for (const cell of this.cells.values()) if (ids.includes(cell.id)) this.setGone(cell, true);
  }

  setGone(cell, gone) {
    cell.gone = gone;
    cell.open.disabled = cell.pick.hidden = cell.picture.hidden = gone;
    cell.state.textContent = gone ? "deleted" : "done";
    this.draw();
  }

  /// Names of the pictures that are there: those that are picked, or the others.
  named(picked) {
    const isWanted = ({ id, gone, pick }) => id && !gone && (pick.getAttribute("aria-pressed") === "true") === picked;
    return [...this.cells.values()].filter(isWanted).map(({ id }) => id);
  }

  draw() {
    const done = [...this.cells.values()].filter(({ id }) => id !== undefined).length;
    at("seeds-note").textContent = `${done} of ${this.cells.size} seeds. Mark the best with a star.`;
    const others = this.named(false).length;
    at("seeds-discard").hidden = isOpen(this.job) || others === 0 || this.named(true).length === 0;
    at("seeds-discard").textContent = `Keep the favourites, delete the other ${others}`;
  }

  discard() {
    this.onDiscard(this.named(false));
  }
}
