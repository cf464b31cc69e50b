// Follows one job by its events: progress, and the run view that grows with every step.

import { api } from "./api.js";
import { isOpen } from "./jobs.js";

const RETRY = 2000;

const at = (id) => document.getElementById(id);

export class Live {
  /// `onJob` gets every new state of the job, `onStep` every step and its seed, `onConnection` whether the server can be reached, `announce` short news.
  constructor({ view, options, onJob, onStep, onCancel, onConnection, announce }) {
    Object.assign(this, { view, options, onJob, onStep, onConnection, announce });
    at("cancel").addEventListener("click", () => onCancel(this.job));
  }

  /// Whether a job is followed that has not ended.
  get busy() {
    return this.job !== undefined && isOpen(this.job);
  }

  follow(job) {
    this.view.clear();
    this.announced = undefined;
    this.setJob(job);
    at("run-empty").hidden = true;
    at("run-info").hidden = false;
    this.connect();
  }

  connect() {
    const source = api.events(this.job.id);
    const on = (name, act) => source.addEventListener(name, (event) => act(JSON.parse(event.data)));
    this.source = source;
    source.addEventListener("open", () => this.onConnection(true));
    source.addEventListener("error", () => this.lost());
    on("job", (job) => {
      // The server ends the stream here; the browser would take that for a lost connection and ask again.
      if (!isOpen(job)) source.close();
      this.setJob(job);
      this.onJob(job);
    });
    on("start", (run) => {
      this.seconds = [];
      this.view.start(run);
    });
    on("loss", (loss) => {
      this.view.addLoss(loss);
      if (loss.iteration > 0) this.showProgress(loss.step, `refinement update ${loss.iteration}`);
    });
    on("step", (step) => {
      this.seconds.push(step.seconds);
      this.view.addStep(step);
      this.onStep(step, this.job.run?.seed);
      at("progress").max = step.num_steps;
      at("progress").value = step.step + 1;
      this.numSteps = step.num_steps;
      this.showProgress(step.step, this.remaining(step));
    });
  }

  /// Connects again by hand: the browser gives up for good after some errors, and the job may be over meanwhile.
  lost() {
    this.source.close();
    this.onConnection(false);
    setTimeout(async () => {
      try {
        this.setJob(await api.job(this.job.id));
      } catch (error) {
        if (error.status === 0) this.lost();
        else this.forget();
        return;
      }
      this.connect();
    }, RETRY);
  }

  /// The server was started anew and does not know the job.
  forget() {
    this.setJob({ ...this.job, state: "failed", error: "The server was started anew and has forgotten this job." });
    this.onConnection(true);
    this.onJob(this.job);
  }

  setJob(job) {
    this.job = job;
    const { state, error, run } = job;
    at("run-title").textContent = job.request.prompt;
    at("cancel").hidden = !isOpen(job);
    at("run-error").hidden = !error;
    at("run-error").textContent = error ?? "";
    at("progress").hidden = !isOpen(job);
    if (state === "queued") {
      at("progress").removeAttribute("value");
      at("progress-text").textContent = job.position ? `Waiting, ${job.position} ahead.` : "Waiting to begin.";
    } else if (state === "running") {
      this.numSteps = job.num_steps;
      // A job counts the steps that are done, from which follows the index of the latest.
      this.showProgress(Math.max(0, job.step - 1), "");
      this.announceOnce(run ? `Drawing picture ${run.index + 1} of ${run.of}, seed ${run.seed}` : "Preparing");
    } else {
      const text = { done: "Finished.", cancelled: "Cancelled.", failed: "Failed." }[state];
      at("progress-text").textContent = text;
      this.announceOnce(text);
    }
  }

  showProgress(step, extra) {
    const { run } = this.job;
    const parts =
      run && this.numSteps > 0
        ? [
            `step ${step} of ${this.numSteps}`,
            `picture ${run.index + 1} of ${run.of}`,
            this.options.methodTitle(run.method),
            `seed ${run.seed}`,
            extra,
          ]
        : ["Preparing the model"];
    at("progress-text").textContent = parts.filter(Boolean).join(" · ");
  }

  /// An estimate from the latest steps, since guided steps come first and are slower.
  remaining({ step, num_steps: numSteps }) {
    const latest = this.seconds.slice(-5);
    const mean = latest.reduce((sum, seconds) => sum + seconds, 0) / latest.length;
    return `about ${Math.ceil(mean * (numSteps - step - 1))} s left`;
  }

  announceOnce(text) {
    if (this.announced === text) return;
    this.announced = text;
    this.announce(text);
  }
}
