// A plot: pictures of one or two settings and some seeds as a table, which fills while they are drawn.

import { api } from "./api.js";
import { element } from "./dom.js";
import { isOpen } from "./jobs.js";
import { plotCsv, plotPng, save } from "./plotfile.js";
import { load, save as remember } from "./store.js";

const at = (id) => document.getElementById(id);

export class Plot {
  /// `onOpen` gets the name of an entry and those of the plot's jobs, `onCancel` jobs, `onError` what went wrong.
  constructor({ onOpen, onCancel, onError }) {
    Object.assign(this, { onOpen, onCancel, onError });
    const onclick = (id, act) => at(id).addEventListener("click", act);
    onclick("plot-png", () => this.exportPng());
    onclick("plot-csv", () => save(plotCsv(this), "plot.csv"));
    onclick("plot-cancel", () => this.onCancel(this.cells.map(({ job }) => job).filter(isOpen)));
    onclick("plot-close", () => this.close());
  }

  /// Begins with a plan and its jobs, which are rows of columns.
  start({ x, y, seeds }, jobs) {
    const axis = (each) => each && { title: each.option.title, texts: each.values.map(({ text }) => text) };
    this.begin({ prompt: jobs[0][0].request.prompt, x: axis(x), y: axis(y) ?? null, seeds }, jobs);
    at("plot-heading").focus();
  }

  /// Shows the plot of the last visit again.
  async restore() {
    const { plan, jobs } = load("plot", {});
    if (!plan) return;
    const again = (id) => api.job(id).catch(() => this.remembered(id, plan.seeds));
    this.begin(plan, await Promise.all(jobs.map((row) => Promise.all(row.map(again)))));
  }

  /// A job that the server has forgotten: what the gallery has of it.
  async remembered(id, seeds) {
    const { entries } = await api.gallery({ job: id, limit: seeds.length });
    const pictures = seeds.map((seed) => entries.find(({ settings }) => settings.seed === seed)?.id);
    return { id, state: pictures.every(Boolean) ? "done" : "cancelled", pictures, error: null };
  }

  begin(plan, jobs) {
    this.plan = plan;
    this.gone = new Set();
    this.cells = jobs.flatMap((row, y) => row.map((job, x) => ({ x, y, job })));
    remember("plot", { plan, jobs: jobs.map((row) => row.map(({ id }) => id)) });
    at("plot").hidden = false;
    at("plot-table").replaceChildren(...this.table());
    this.draw();
  }

  close() {
    remember("plot", {});
    this.plan = undefined;
    at("plot").hidden = true;
    at("plot-table").replaceChildren();
    at("gallery-heading").focus();
  }

  /// Newer states of jobs.
  update(jobs) {
    if (!this.plan) return;
    for (const cell of this.cells) cell.job = jobs.find(({ id }) => id === cell.job.id) ?? cell.job;
    this.draw();
  }

  /// Entries are gone.
  drop(ids) {
    if (!this.plan) return;
    for (const id of ids) this.gone.add(id);
    this.draw();
  }

  /// An entry is there again.
  show({ id }) {
    if (this.gone?.delete(id)) this.draw();
  }

  get columns() {
    return this.plan.x.texts;
  }

  /// Every row with its value, if the plot has two settings, and its seed.
  get rows() {
    const { y, seeds } = this.plan;
    return (y?.texts ?? [null]).flatMap((text, index) => seeds.map((seed, place) => ({ text, index, seed, place })));
  }

  /// The name of the entry of a cell, if it is drawn.
  entry(row, column) {
    const id = this.cell(row, column).job.pictures[row.place];
    return this.gone.has(id) ? undefined : id;
  }

  cell(row, column) {
    return this.cells.find(({ x, y }) => x === column && y === row.index);
  }

  table() {
    const { prompt, x, y } = this.plan;
    const heads = [y && `${y.title}`, "Seed"].filter(Boolean);
    const head = element(
      "tr",
      {},
      ...heads.map((textContent) => element("th", { scope: "col", textContent })),
      ...x.texts.map((text) => element("th", { scope: "col", textContent: `${x.title}: ${text}` })),
    );
    const body = this.rows.map((row) => {
      const isFirst = row.place === 0 && row.text !== null;
      const name = element("th", { scope: "rowgroup", rowSpan: this.plan.seeds.length, textContent: row.text ?? "" });
      const cells = this.columns.map((_, column) => this.tableCell(row, column));
      return element("tr", {}, ...(isFirst ? [name] : []), element("th", { scope: "row", textContent: row.seed }), ...cells);
    });
    return [
      element("caption", { textContent: prompt }),
      element("thead", {}, head),
      element("tbody", {}, ...body),
    ];
  }

  tableCell(row, column) {
    const cell = element("td");
    cell.dataset.row = this.rows.findIndex(({ index, place }) => index === row.index && place === row.place);
    cell.dataset.column = column;
    return cell;
  }

  draw() {
    const { rows } = this;
    for (const cell of at("plot-table").querySelectorAll("td")) {
      const row = rows[cell.dataset.row];
      const { job } = this.cell(row, Number(cell.dataset.column));
      const id = this.entry(row, Number(cell.dataset.column)) ?? "";
      if (id === "") {
        const text = job.pictures[row.place] ? "deleted" : (job.error ?? stateText(job, row.place));
        cell.replaceChildren(element("span", { className: "hint", textContent: text }));
      } else if (cell.dataset.id !== id) {
        cell.replaceChildren(this.picture(id, row, Number(cell.dataset.column)));
      }
      cell.dataset.id = id;
    }
    const done = rows.flatMap((row) => this.columns.filter((_, column) => this.entry(row, column))).length;
    at("plot-note").textContent = `${done} of ${rows.length * this.columns.length} pictures`;
    at("plot-cancel").hidden = !this.cells.some(({ job }) => isOpen(job));
    at("plot-png").disabled = done === 0;
  }

  picture(id, row, column) {
    const { x, y } = this.plan;
    const name = [`${x.title} ${x.texts[column]}`, row.text !== null && `${y.title} ${row.text}`, `seed ${row.seed}`];
    const alt = name.filter(Boolean).join(", ");
    // It may have been deleted while the page was closed.
    const image = element("img", { src: api.pictureUrl(id), alt, onerror: () => this.drop([id]) });
    const open = () =>
      this.onOpen(
        id,
        this.cells.map(({ job }) => job.id),
      );
    return element("button", { type: "button", onclick: open }, image);
  }

  async exportPng() {
    try {
      save(await plotPng(this), "plot.png");
    } catch (error) {
      this.onError(error);
    }
  }
}

function stateText({ state, run }, place) {
  const texts = { queued: "waiting", done: "", cancelled: "cancelled", failed: "failed" };
  if (state !== "running") return texts[state];
  return run && run.index === place ? "drawing" : "waiting";
}
