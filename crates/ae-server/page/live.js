// Follows one job by its events: progress, and the run view that grows with every step.

import { api } from "./api.js";
import { element } from "./dom.js";
import { Estimate, planOf } from "./estimate.js";
import { isOpen } from "./jobs.js";
import { showEnd, showShare } from "./title.js";

const RETRY = 2000;

/// What a job's end is called.
const ENDS = { done: "Finished", cancelled: "Cancelled", failed: "Failed" };

const at = (id) => document.getElementById(id);

export class Live {
  /// `onJob` gets every new state of the job, `onStep` every step and its seed, `onConnection` whether the server can be
  /// reached, `announce` short news, and `defaultsOf` a model's id for the settings that suit it.
  constructor({ view, options, onJob, onStep, onCancel, onConnection, announce, defaultsOf }) {
    Object.assign(this, { view, options, onJob, onStep, onConnection, announce, defaultsOf });
    at("cancel").addEventListener("click", () => onCancel(this.job));
  }

  /// Whether a job is followed that has not ended.
  get busy() {
    return this.job !== undefined && isOpen(this.job);
  }

  follow(job) {
    this.view.clear();
    this.announced = undefined;
    this.estimate = undefined;
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
      this.plan().start(run.run, this.job.num_steps);
      this.view.start(run);
    });
    on("loss", (loss) => {
      this.view.addLoss(loss);
      if (loss.iteration > 0) this.showProgress(`refinement update ${loss.iteration}`);
    });
    on("step", (step) => {
      this.plan().add(step);
      this.view.addStep(step);
      this.onStep(step, this.job.run?.seed);
      this.showProgress();
    });
  }

  /// What is known of the times of the job.
  plan() {
    const { request, run } = this.job;
    const runs = run?.of ?? 1;
    if (this.estimate?.runs.length !== runs) {
      const method = this.options.methodOf(request.method);
      const defaultOf = (name, group = null) => {
        const option = this.options.all.find((each) => each.name === name && each.group === group);
        return option && this.options.defaultOf(option, this.defaultsOf(request.model), method);
      };
      const defaults = { steps: defaultOf("steps"), until: defaultOf("max_iter_to_alter", "attend_and_excite") };
      this.estimate = new Estimate(planOf(request, runs, method.guides, defaults));
    }
    return this.estimate;
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
    this.setJob({ ...this.job, state: "failed", error: "The server restarted; this job was lost." });
    this.onConnection(true);
    this.onJob(this.job);
  }

  setJob(job) {
    this.job = job;
    // How long it has been drawn, as the server says; from here on this clock goes on.
    this.since = performance.now() - (job.seconds ?? 0) * 1000;
    const { state, error, run } = job;
    at("run-title").textContent = job.request.prompt;
    at("cancel").hidden = !isOpen(job);
    at("run-error").hidden = !error;
    at("run-error").textContent = error ?? "";
    at("progress").hidden = !isOpen(job);
    this.showNotes(job.notes ?? []);
    if (state === "queued") {
      at("progress").removeAttribute("value");
      at("progress-text").textContent = job.position ? `Waiting, ${job.position} ahead.` : "Waiting to begin.";
    } else if (state === "running") {
      this.showProgress();
      this.announceOnce(run ? `Drawing picture ${run.index + 1} of ${run.of}, seed ${run.seed}` : "Preparing");
    } else {
      const time = state === "done" && job.seconds ? ` in ${seconds(job.seconds)}` : "";
      at("progress-text").textContent = `${ENDS[state]}${time}.`;
      if (this.announced !== undefined) showEnd(ENDS[state], job.request.prompt);
      this.announceOnce(`${ENDS[state]}.`);
    }
  }

  /// What was ignored, or has no effect.
  showNotes(notes) {
    at("run-notes").hidden = notes.length === 0;
    at("run-notes").replaceChildren(...notes.map((textContent) => element("li", { textContent })));
  }

  /// One bar over all pictures of the job. `extra` says what happens within the step.
  showProgress(extra) {
    const { run, step, num_steps: numSteps, request } = this.job;
    const plan = this.plan();
    // Events of steps and of the job come one after the other.
    const done = plan.run === run?.index ? Math.max(step, plan.done) : step;
    at("progress").max = 1;
    if (plan.left === undefined) at("progress").removeAttribute("value");
    else at("progress").value = plan.share;
    const parts =
      run && numSteps > 0
        ? [
            `step ${done} of ${numSteps}`,
            `picture ${run.index + 1} of ${run.of}`,
            this.options.methodTitle(run.method),
            `seed ${run.seed}`,
            this.time(plan.left),
            extra,
          ]
        : ["Preparing the model"];
    at("progress-text").textContent = parts.filter(Boolean).join(" · ");
    showShare(plan.share, request.prompt);
  }

  /// How much time has gone, of how much in all.
  time(left) {
    if (left === undefined) return "";
    const gone = (performance.now() - this.since) / 1000;
    return `${seconds(gone)} of about ${seconds(gone + left)}`;
  }

  announceOnce(text) {
    if (this.announced === text) return;
    this.announced = text;
    this.announce(text);
  }
}

function seconds(count) {
  const whole = Math.round(count);
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}
