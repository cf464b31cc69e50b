// The run view of report and studio: pictures, attention maps and losses of a run under one slider.
//
// A report has to be one file. There the modules of this folder are concatenated in the order dom, rove, maps, heat, steps,
// chart, panel, player, scale, chips, view, settings, report, without the lines that begin with `import`; `export` may
// stay, since the script of a report is a module too. Hence imports take one line, and no two modules use the same
// top-level name.

import { TokenChips } from "./chips.js";
import { LossChart } from "./chart.js";
import { element } from "./dom.js";
import { parsePalette } from "./heat.js";
import { Panel } from "./panel.js";
import { Player } from "./player.js";
import { Scale } from "./scale.js";
import { Steps } from "./steps.js";

/// An empty view in `container`; `palette` are 256 colours in hexadecimal, `options` name the methods. Over a finished
/// picture there is no map at first, unless `covered`: who sees it first must not take the map for the picture.
export function createRunView(container, { palette, options, covered = false }) {
  return new RunView(container, parsePalette(palette), options, covered);
}

class RunView {
  constructor(container, palette, options, covered) {
    Object.assign(this, { palette, options, covered });
    this.chips = new TokenChips((names) => {
      this.announcement.textContent = `Showing the attention to ${names}`;
      this.draw();
    });
    this.panels = element("div", { className: "run-panels" });
    this.player = new Player((position) => {
      this.position = position;
      this.draw();
    });
    this.scale = new Scale(palette, () => this.draw());
    this.chart = new LossChart((position) => this.player.pick(position));
    this.announcement = element("p", { className: "visually-hidden", role: "status" });
    this.root = element(
      "div",
      { className: "run-view", "data-testid": "run-view" },
      this.chips.root,
      this.player.root,
      this.panels,
      this.scale.root,
      this.chart.root,
      this.announcement,
    );
    container.append(this.root);
    this.clear();
  }

  clear() {
    this.runs = new Map();
    this.subjects = [];
    this.terms = [];
    this.position = 0;
    this.root.hidden = true;
    this.panels.replaceChildren();
    this.chips.clear();
    this.player.reset();
  }

  /// Shows a finished run, or the guided and the plain one side by side.
  setRecord(record) {
    this.clear();
    this.setPrompt(record);
    record.runs.forEach((run, index) => this.addRun(index, new Steps({ ...run, seed: record.seed })));
    this.drawChips();
    this.scale.shown = this.covered;
    this.player.extend(this.numSteps, this.newest);
  }

  /// A run begins. It stands beside a run of the same seed by the other method and takes the place of any other.
  start({ run, seed, method, tokens, subjects, terms }) {
    const partner = [...this.runs.values()].some(({ steps }) => steps.seed === seed && steps.method !== method);
    if (!partner) this.clear();
    for (const [index, { steps }] of this.runs) if (steps.method === method) this.runs.delete(index);
    if (!partner) this.setPrompt({ tokens, subjects, terms });
    this.addRun(run, new Steps({ method, seed }));
    this.scale.shown = true;
    this.player.follow();
    this.draw();
  }

  /// One evaluation of the loss, before its step has ended.
  addLoss(loss) {
    this.runs.get(loss.run)?.steps.addLoss(loss);
    this.draw();
  }

  addStep(step) {
    const panel = this.runs.get(step.run);
    if (!panel) return;
    const first = panel.steps.newest < 0;
    panel.steps.add(step);
    // Only now is it known which tokens have maps.
    if (first) this.drawChips();
    this.player.extend(this.numSteps, panel.steps.newest);
    this.draw();
  }

  /// The finished picture of a run.
  setPicture(run, url) {
    const panel = this.runs.get(run);
    if (panel) panel.steps.picture = url;
    this.scale.shown = this.covered;
    this.draw();
  }

  /// Shows the maps over the pictures, or hides them.
  toggleAttention() {
    this.scale.switch.click();
  }

  /// The runs that are shown: their index, seed and method.
  get shown() {
    return [...this.runs].map(([run, { steps }]) => ({ run, seed: steps.seed, method: steps.method }));
  }

  get numSteps() {
    return Math.max(0, ...[...this.runs.values()].map(({ steps }) => steps.numSteps));
  }

  get newest() {
    return Math.max(-1, ...[...this.runs.values()].map(({ steps }) => steps.newest));
  }

  /// `terms` are those of the loss; records of before they were named have one for each subject.
  setPrompt({ tokens, subjects, terms }) {
    this.subjects = subjects;
    this.terms = terms ?? subjects.map(({ text }, subject) => ({ name: text, subject }));
    this.chips.setPrompt(tokens, subjects);
  }

  addRun(index, steps) {
    this.runs.set(index, new Panel(steps, this.options.methodTitle(steps.method), this.subjects, this.palette));
    // A run that is told again after a lost connection keeps its place.
    this.runs = new Map([...this.runs].sort(([a], [b]) => a - b));
    this.panels.replaceChildren(...[...this.runs.values()].map(({ root }) => root));
    this.root.hidden = false;
  }

  drawChips() {
    this.chips.draw(new Set([...this.runs.values()].flatMap(({ steps }) => [...steps.mapped])));
  }

  /// Draws at the next frame: a page that joins in the middle of a run gets many steps at once.
  draw() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = undefined;
      this.drawNow();
    });
  }

  drawNow() {
    const { position } = this;
    const panels = [...this.runs.values()];
    const all = panels.map(({ steps }) => steps);
    const { words, names } = this.chips;
    const shown = [...words, ...this.subjects.map(({ positions }) => positions)];
    // Never 0, so that maps can be divided by it.
    const scale = Math.max(1e-6, ...all.flatMap((steps) => shown.map((word) => steps.peak(word))));
    this.scale.update(scale);
    for (const panel of panels) panel.update({ position, words, names, scale, opacity: this.scale.opacity });
    this.player.describe(position, all.map(({ steps }) => steps[position]?.timestep).find(Number.isFinite));
    this.chart.update(all.find(({ guided }) => guided) ?? null, this.terms, position);
  }
}
