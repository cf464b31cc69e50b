// The list of jobs: what is queued, running and lately finished.

import { api } from "./api.js";
import { element } from "./dom.js";

/// Positions in the queue change when other jobs end, which no event tells.
const INTERVAL = 2000;
const FINISHED_SHOWN = 5;
const STATES = { queued: "waiting", running: "drawing", done: "done", cancelled: "cancelled", failed: "failed" };

const at = (id) => document.getElementById(id);

export const isOpen = (job) => job.state === "queued" || job.state === "running";

export class Jobs {
  /// `onCancel` gets a job, `onEnded` one that ended unwatched, `onOpen` the id of a finished picture, `onConnection`
  /// whether the server answered, `onError` what it refused.
  constructor({ onChange, onCancel, onEnded, onOpen, onConnection, onError }) {
    Object.assign(this, { onChange, onCancel, onEnded, onOpen, onConnection, onError });
    this.jobs = [];
  }

  /// The job to watch: the running one, or the next.
  get active() {
    return this.jobs.find(({ state }) => state === "running") ?? this.jobs.find(isOpen);
  }

  async refresh() {
    clearTimeout(this.timer);
    const request = api.jobs();
    this.request = request;
    let connected = true;
    try {
      const { jobs } = await request;
      // A later answer has come before this one.
      if (this.request !== request) return;
      const awaited = new Set(this.jobs.filter(isOpen).map(({ id }) => id));
      this.jobs = jobs;
      jobs.filter((job) => awaited.has(job.id) && !isOpen(job)).forEach(this.onEnded);
    } catch (error) {
      if (error.status !== 0) this.onError(error);
      connected = error.status !== 0;
    }
    this.onConnection(connected);
    clearTimeout(this.timer);
    if (!connected || this.jobs.filter(isOpen).length > 1) this.timer = setTimeout(() => this.refresh(), INTERVAL);
    this.draw();
    this.onChange();
  }

  /// A newer state of a job.
  update(job) {
    const known = this.jobs.findIndex(({ id }) => id === job.id);
    if (known >= 0) this.jobs[known] = job;
    else this.jobs.push(job);
    this.draw();
  }

  draw() {
    const open = this.jobs.filter(isOpen);
    const finished = this.jobs.filter((job) => !isOpen(job)).slice(0, FINISHED_SHOWN);
    const focused = document.activeElement?.closest("#jobs button")?.dataset.job;
    at("queue").hidden = this.jobs.length === 0;
    at("jobs").replaceChildren(...[...open, ...finished].map((job) => this.item(job)));
    if (focused)
      at("jobs")
        .querySelector(`button[data-job="${CSS.escape(focused)}"]`)
        ?.focus();
  }

  item(job) {
    const { prompt, seeds } = job.request;
    const item = element(
      "li",
      {},
      element(
        "div",
        { className: "job-text" },
        element("span", { className: "job-prompt", textContent: prompt }),
        element("span", {
          className: "hint",
          textContent: [stateText(job), seedText(seeds)].filter(Boolean).join(" · "),
        }),
      ),
    );
    if (job.error) item.firstChild.append(element("span", { className: "error", textContent: job.error }));
    if (isOpen(job)) item.append(jobButton(job, "Cancel", () => this.onCancel(job)));
    else if (job.pictures.length > 0) item.append(jobButton(job, "Open", () => this.onOpen(job.pictures.at(-1))));
    item.dataset.state = job.state;
    item.dataset.job = job.id;
    return item;
  }
}

function stateText({ state, position }) {
  if (state !== "queued") return STATES[state];
  return position ? `waiting, ${position} ahead` : "waiting, next";
}

function seedText(seeds) {
  if (!seeds || seeds.length === 0) return "";
  return seeds.length === 1 ? `seed ${seeds[0]}` : `${seeds.length} seeds`;
}

function jobButton(job, text, onclick) {
  const button = element("button", { type: "button", onclick, "aria-label": `${text}: ${job.request.prompt}` }, text);
  button.dataset.job = job.id;
  return button;
}
