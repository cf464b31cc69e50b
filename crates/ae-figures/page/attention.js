// The largest attention to every subject over the steps, of every run that is shown: what guidance raises, and what plain sampling leaves.

import { HEIGHT, MARGIN, axes, label, series } from "./chart.js";
import { element, svgElement } from "./dom.js";

export class AttentionChart {
  constructor() {
    this.svg = svgElement("svg", { class: "loss-chart", role: "img", height: HEIGHT, "data-testid": "attention-chart" });
    this.legend = element("ul", { className: "loss-legend" });
    const caption = element("figcaption", { textContent: "Largest attention to each subject" });
    this.root = element("figure", { className: "loss-figure", hidden: true }, caption, this.svg, this.legend);
    new ResizeObserver(() => this.draw()).observe(this.root);
  }

  /// `runs` are runs with their names, plain sampling first; `position` is the index of the chosen step.
  update(runs, subjects, position) {
    const courses = runs.map(({ steps, name }) => ({ name, dashed: isPlain(steps), peaks: peaksOf(steps, subjects) }));
    const isKnown = courses.some(({ peaks }) => peaks.flat().some(Number.isFinite));
    this.state = isKnown ? { courses, subjects, position, last: Math.max(...runs.map(({ steps }) => lastOf(steps))) } : null;
    this.root.hidden = !isKnown;
    this.draw();
  }

  draw() {
    const width = this.svg.parentNode.clientWidth;
    if (!this.state || width === 0) return;
    const { courses, subjects, position, last } = this.state;
    const highest = Math.max(...courses.flatMap(({ peaks }) => peaks.flat()).filter(Number.isFinite));
    const most = Math.max(0.1, Math.ceil(highest * 10) / 10);
    const x = (step) => MARGIN.left + (step / last) * (width - MARGIN.left - MARGIN.right - 12);
    const y = (value) => MARGIN.top + (1 - value / most) * (HEIGHT - MARGIN.top - MARGIN.bottom);
    this.svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    this.svg.setAttribute("aria-label", describeCourses(courses, subjects));
    this.svg.replaceChildren(
      ...axes(last, [0, most], x, y),
      ...courses.flatMap(({ peaks, dashed }) => peaks.map((course, subject) => courseLine(course, subject, dashed, x, y))),
      svgElement(
        "g",
        { class: "cursor" },
        svgElement("line", { x1: x(position), x2: x(position), y1: MARGIN.top, y2: HEIGHT - MARGIN.bottom }),
      ),
    );
    const named = subjects.map(({ text }, index) => courseEntry(text, `loss-line ${series({ colour: index })}`, false, index));
    const styles = courses.map(({ name, dashed }) => courseEntry(name, "loss-line any-series", dashed));
    this.legend.replaceChildren(...named, ...(courses.length > 1 ? styles : []));
  }
}

function isPlain({ method }) {
  return method === "stable-diffusion";
}

function lastOf(steps) {
  return Math.max(steps.numSteps, steps.newest + 1, 2) - 1;
}

/// Of every subject the largest attention at every step; NaN where no maps were kept.
function peaksOf(steps, subjects) {
  const at = (step, positions) => (steps.decoded[step] ? steps.peakAt(step, positions) : NaN);
  return subjects.map(({ positions }) => Array.from(steps.steps, (_, step) => at(step, positions)));
}

/// A line with the number of its subject at the end, so that colours are not all that tells subjects apart.
function courseLine(course, subject, dashed, x, y) {
  const known = [...course.entries()].filter(([, peak]) => Number.isFinite(peak));
  const points = known.map(([step, peak]) => `${x(step)},${y(peak)}`).join(" ");
  const name = `loss-line ${series({ colour: subject })}`;
  const line = svgElement("polyline", { class: name, points, "stroke-dasharray": dashed ? "5 4" : "none" });
  const [step, peak] = known.at(-1) ?? [0, 0];
  // Beside each other where lines end at one place.
  const number = label(x(step) + 5 + 9 * (subject % 2), y(peak) + 4, subject + 1, "start");
  return svgElement("g", { "data-testid": "attention-line" }, line, number);
}

function courseEntry(name, lineClass, dashed, subject = null) {
  const line = { class: lineClass, x1: 0, x2: 32, y1: 5, y2: 5, "stroke-dasharray": dashed ? "5 4" : "none" };
  const swatch = svgElement("svg", { width: 32, height: 10, "aria-hidden": "true" }, svgElement("line", line));
  const number = subject === null ? [] : [element("span", { className: "subject-number", textContent: subject + 1 })];
  return element("li", {}, swatch, ...number, element("span", { textContent: name }));
}

function describeCourses(courses, subjects) {
  const course = ({ name, peaks }) => {
    const each = subjects.map(({ text }, index) => `${text} ${lastKnown(peaks[index])}`);
    return `${name}: ${each.join(", ")}`;
  };
  return `Largest attention at the last step. ${courses.map(course).join("; ")}.`;
}

function lastKnown(course) {
  const last = course.findLast(Number.isFinite);
  return last === undefined ? "unknown" : last.toFixed(2);
}
