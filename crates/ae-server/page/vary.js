// The dialog that asks what to vary, and puts the jobs of a plot into the queue.

import { api } from "./api.js";
import { axisOptions, firstValues, parseValues, valuesHint, withValues } from "./axes.js";
import { closeBeside } from "./dialog.js";
import { element } from "./dom.js";
import { parseSeeds, randomSeed } from "./fields.js";

const SEEDS = "seeds";

export class Vary {
  /// `readForm` promises the request that everything else is taken from, `onStart` gets the plan of a plot and its jobs,
  /// `limits` are those of the server and `waiting` says how many jobs wait.
  constructor({ options, limits, readForm, waiting, onStart }) {
    Object.assign(this, { options, limits, readForm, waiting, onStart });
    this.choices = axisOptions(options);
    this.axes = [this.axis("x", "Columns", "steps"), this.axis("y", "Rows", "")];
    this.seeds = element("input", { id: "vary-seeds", autocomplete: "off", "aria-describedby": "vary-seeds-hint" });
    this.count = element("p", { id: "vary-count", role: "status" });
    this.error = element("p", { id: "vary-error", className: "error", role: "alert", hidden: true });
    this.button = element("button", { type: "submit", id: "vary-start", className: "primary" }, "Draw the plot");
    const title = element("h2", { id: "vary-title", tabIndex: -1, textContent: "Vary settings" });
    const form = element(
      "form",
      { noValidate: true, oninput: () => this.changed(), onsubmit: (event) => this.submit(event) },
      element("p", {
        className: "hint",
        textContent: "Draws the form's picture with every combination of these values and every seed, as a table.",
      }),
      ...this.axes.map(({ root }) => root),
      element(
        "div",
        { className: "field" },
        element("label", { htmlFor: "vary-seeds", textContent: "Seeds" }),
        this.seeds,
        element("p", { className: "hint", id: "vary-seeds-hint", textContent: "42, 0-3 or 1,5. Each cell has all of them." }),
      ),
      this.count,
      this.error,
      element("div", { className: "actions" }, this.button),
    );
    this.dialog = element(
      "dialog",
      { id: "vary", "aria-labelledby": "vary-title" },
      element(
        "div",
        { className: "detail-head" },
        title,
        element("button", { type: "button", id: "vary-close", onclick: () => this.dialog.close() }, "Close"),
      ),
      form,
    );
    this.title = title;
    closeBeside(this.dialog);
    document.body.append(this.dialog);
  }

  /// The fields of one axis; only the rows may be none.
  axis(key, label, name) {
    const choices = this.choices.map((option, index) =>
      element("option", { value: index, textContent: option.title, selected: option.name === name }),
    );
    if (key === "y") choices.unshift(element("option", { value: "", textContent: "Seeds only" }));
    const select = element("select", { id: `vary-${key}` }, ...choices);
    const values = element("textarea", {
      id: `vary-${key}-values`,
      rows: 3,
      "aria-label": `Values of the ${label.toLowerCase()}`,
      "aria-describedby": `vary-${key}-hint`,
    });
    const hint = element("p", { className: "hint", id: `vary-${key}-hint` });
    const root = element(
      "div",
      { className: "field" },
      element("label", { htmlFor: select.id, textContent: label }),
      select,
      values,
      hint,
    );
    const axis = { root, select, values, hint };
    select.addEventListener("change", () => this.choose(axis));
    return axis;
  }

  option({ select }) {
    return this.choices[select.value];
  }

  choose(axis) {
    const option = this.option(axis);
    axis.values.hidden = axis.hint.hidden = !option;
    axis.values.value = option ? firstValues(option) : "";
    axis.hint.textContent = option ? valuesHint(option) : "";
    this.changed();
  }

  open() {
    if (this.seeds.value === "") {
      this.axes.forEach((axis) => this.choose(axis));
      this.seeds.value = document.getElementById("seeds").value || `${randomSeed()}`;
    }
    this.changed();
    this.dialog.showModal();
    this.title.focus();
  }

  /// What is asked for; throws what is wrong with it.
  read() {
    const { maxItems } = this.options.properties[SEEDS];
    const read = (axis) => {
      const option = this.option(axis);
      return option && { option, values: parseValues(option, axis.values.value, this.options) };
    };
    const [x, y] = this.axes.map(read);
    if (x.option === y?.option) throw new Error(`${x.option.title} is both columns and rows: choose two settings`);
    const seeds = parseSeeds(this.seeds.value, maxItems);
    const jobs = x.values.length * (y?.values.length ?? 1);
    const room = this.room();
    if (jobs > room.free)
      throw new Error(`This plot has ${jobs} jobs; the server has room for ${room.free} (${room.name}). Leave out some values.`);
    return { x, y, seeds, jobs };
  }

  /// How many jobs the server still takes, and the limit that says so.
  room() {
    const limits = ["max_queue", "max_queue_per_client"].filter((name) => name in this.limits);
    const free = limits.map((name) => ({ name, free: this.limits[name] - this.waiting() }));
    return free.toSorted((a, b) => a.free - b.free)[0];
  }

  changed() {
    this.showError("");
    try {
      const { seeds, jobs } = this.read();
      this.count.textContent = `${jobs * seeds.length} pictures in ${jobs} ${jobs === 1 ? "job" : "jobs"}.`;
    } catch {
      this.count.textContent = "";
    }
  }

  async submit(event) {
    event.preventDefault();
    this.showError("");
    this.button.disabled = true;
    try {
      const plan = this.read();
      const jobs = await this.send(plan);
      this.dialog.close();
      this.onStart(plan, jobs);
    } catch (error) {
      this.showError(error.message);
    }
    this.button.disabled = false;
  }

  /// Puts a job for every cell into the queue, row by row; all of them or none.
  async send({ x, y, seeds }) {
    const request = { ...(await this.readForm()), seeds, compare: false };
    const rows = (y?.values ?? [undefined]).map((row) =>
      x.values.map((column) => {
        const pairs = [[x.option, column.value], ...(y ? [[y.option, row.value]] : [])];
        return withValues(request, pairs, this.options);
      }),
    );
    const jobs = [];
    try {
      for (const row of rows) {
        jobs.push([]);
        for (const cell of row) jobs.at(-1).push(await api.generate(cell));
      }
    } catch (error) {
      await Promise.allSettled(jobs.flat().map(({ id }) => api.cancel(id)));
      throw error;
    }
    return jobs;
  }

  showError(message) {
    this.error.textContent = message;
    this.error.hidden = message === "";
  }
}
