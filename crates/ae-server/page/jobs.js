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
  /// `onCancel` gets a job, `onEnded` one that ended unwatched, `onOpen` one with pictures, `onConnection` whether the
  /// server answered, `onError` what it refused.
  constructor({ onChange, onCancel, onEnded, onOpen, onConnection, onError }) {
    Object.assign(this, { onChange, onCancel, onEnded, onOpen, onConnection, onError });
    this.jobs = [];
    at("queue-cancel").addEventListener("click", () => this.act(() => api.removeJobs("open")));
    at("queue-clear").addEventListener("click", () => this.act(() => api.removeJobs("ended")));
  }

  /// Changes the queue, and shows what came of it.
  async act(change) {
    try {
      await change();
    } catch (error) {
      this.onError(error);
    }
    await this.refresh();
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
    const finished = this.jobs.filter((job) => !isOpen(job));
    const { job: focused, act } = document.activeElement?.closest("#jobs button")?.dataset ?? {};
    at("queue").hidden = this.jobs.length === 0;
    const waiting = open.filter(({ state }) => state === "queued");
    const counts = [
      [open.length - waiting.length, "drawing"],
      [waiting.length, "waiting"],
      [finished.length, "ended"],
    ];
    at("queue-summary").textContent = counts
      .filter(([count]) => count > 0)
      .map(([count, state]) => `${count} ${state}`)
      .join(", ");
    at("queue-cancel").hidden = open.length === 0;
    at("queue-clear").hidden = finished.length === 0;
    const items = [...open, ...finished.slice(0, FINISHED_SHOWN)].map((job) => this.item(job, waiting));
    at("jobs").replaceChildren(...items);
    if (!focused) return;
    const buttons = [...at("jobs").querySelectorAll(`button[data-job="${CSS.escape(focused)}"]`)];
    (buttons.find((button) => button.dataset.act === act && !button.disabled) ?? buttons.find(({ disabled }) => !disabled))?.focus();
  }

  item(job, waiting) {
    const { prompt, seeds } = job.request;
    const item = element(
      "li",
      {},
      element(
        "div",
        { className: "job-text" },
        element("span", { className: "job-prompt", textContent: prompt, title: prompt }),
        element("span", {
          className: "hint",
          textContent: [stateText(job), seedText(seeds)].filter(Boolean).join(" · "),
        }),
      ),
    );
    if (job.error) item.firstChild.append(element("span", { className: "error", textContent: job.error }));
    const place = waiting.indexOf(job);
    if (place >= 0 && waiting.length > 1) {
      const move = (to) => () => this.act(() => api.place(job.id, to));
      const up = jobButton(job, "Move up", move(place - 1), "↑");
      const down = jobButton(job, "Move down", move(place + 1), "↓");
      up.disabled = place === 0;
      down.disabled = place === waiting.length - 1;
      item.append(up, down);
    }
    if (isOpen(job)) item.append(jobButton(job, "Cancel", () => this.onCancel(job)));
    else if (job.pictures.length > 0) item.append(jobButton(job, "Open", () => this.onOpen(job)));
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

/// A button that does something with a job; `sign` is what one sees of a name that takes too much room.
function jobButton(job, name, onclick, sign = name) {
  const label = `${name}: ${job.request.prompt}`;
  const button = element("button", { type: "button", onclick, title: sign === name ? "" : name, "aria-label": label }, sign);
  button.dataset.job = job.id;
  button.dataset.act = name;
  return button;
}
