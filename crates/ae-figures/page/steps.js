// What is known of one run: its steps so far, whether read from a record or arriving one by one.

import { attentionTo, decodeMaps, summit } from "./maps.js";

export class Steps {
  constructor({ method, seed, picture = null, found = null, steps = [] }) {
    this.method = method;
    this.seed = seed;
    this.picture = picture;
    // The subjects that the detector sees in it, if it was asked.
    this.found = found;
    this.numSteps = 0;
    this.steps = [];
    this.decoded = [];
    this.losses = [];
    this.peaks = new Map();
    for (const step of steps) this.add(step);
  }

  /// Index of the newest step; -1 before the first.
  get newest() {
    return this.steps.length - 1;
  }

  add(step) {
    this.numSteps = step.num_steps;
    this.steps[step.step] = step;
    this.decoded[step.step] = step.maps && decodeMaps(step.maps);
    if (step.guidance) this.losses[step.step] = step.guidance.evaluations;
    for (const known of this.peaks.values()) known.peak = Math.max(known.peak, this.peakAt(step.step, known.word));
  }

  /// One evaluation of the loss, before its step has ended.
  addLoss({ step, iteration, losses }) {
    this.losses[step] ??= [];
    this.losses[step][iteration] = losses;
  }

  /// The losses of a step: a row of all terms per evaluation, the first before any refinement.
  evaluations(index) {
    return (this.losses[index] ?? []).filter(Boolean);
  }

  get guided() {
    return this.losses.some(Boolean);
  }

  /// The attention to words (lists of token positions) at a step, or at the last step before it that recorded maps.
  attention(index, words) {
    for (let step = Math.min(index, this.newest); step >= 0; step--) {
      if (this.decoded[step]) return attentionTo(this.decoded[step], words);
    }
    return null;
  }

  /// The largest attention to a word in all steps: the scale that makes steps comparable.
  peak(word) {
    const key = word.join();
    if (!this.peaks.has(key)) {
      const peak = Math.max(0, ...this.steps.map((_, step) => this.peakAt(step, word)));
      this.peaks.set(key, { word, peak });
    }
    return this.peaks.get(key).peak;
  }

  peakAt(step, word) {
    const map = this.decoded[step] && attentionTo(this.decoded[step], [word]);
    return map ? summit(map).value : 0;
  }

  /// The tokens that have maps.
  get mapped() {
    return new Set(this.decoded.find(Boolean)?.tokens ?? []);
  }

  /// What the run looked like after a step: the picture at the end, otherwise the nearest preview up to the step.
  pictureAt(index) {
    if (this.picture && index >= this.numSteps - 1) return this.picture;
    for (let step = Math.min(index, this.newest); step >= 0; step--) {
      if (this.steps[step]?.preview) return this.steps[step].preview;
    }
    return this.picture;
  }
}
