// The terms of the loss over the steps, as an SVG that follows the width of its container.

import { element, svgElement } from "./dom.js";

export const HEIGHT = 220;
export const MARGIN = { top: 30, right: 16, bottom: 40, left: 46 };
const COLOURS = 6;
/// Lines differ in pattern as well as in colour.
const DASHES = ["none", "7 4", "2 3", "11 3 2 3", "5 2", "1 4"];

export class LossChart {
  /// `onPick` gets the index of the step that was clicked.
  constructor(onPick) {
    this.onPick = onPick;
    this.state = null;
    this.svg = svgElement("svg", { class: "loss-chart", role: "img", height: HEIGHT, "data-testid": "loss-chart" });
    this.legend = element("ul", { className: "loss-legend" });
    this.reading = element("p", { className: "loss-reading" });
    this.caption = element("figcaption");
    this.root = element(
      "figure",
      { className: "loss-figure", hidden: true },
      this.caption,
      this.svg,
      this.legend,
      this.reading,
    );
    const pick = (event) => {
      if (event.buttons & 1) this.onPick(this.stepAt(event.clientX));
    };
    this.svg.addEventListener("pointerdown", pick);
    this.svg.addEventListener("pointermove", pick);
    new ResizeObserver(() => this.draw()).observe(this.root);
  }

  /// `steps` is the guided run or `null`, `terms` are those of its loss: `{ name, subject }`, where a term of no subject has
  /// `null`; `position` is the index of the chosen step, `refinement` what refinement asks for, where that is known.
  update(steps, terms, position, refinement = null) {
    this.state = steps && { steps, terms: withColours(terms), position, refinement };
    this.root.hidden = !steps;
    this.caption.textContent =
      steps?.method === "attend-and-excite"
        ? "Loss of each subject: 1 minus its largest attention, normalized over the words and smoothed"
        : "The terms of the loss";
    this.draw();
  }

  draw() {
    const width = this.svg.parentNode.clientWidth;
    if (!this.state || width === 0) return;
    const { steps, terms, position } = this.state;
    const { limits = [], most_updates: most } = this.state.refinement ?? {};
    this.last = Math.max(steps.numSteps, steps.losses.length, 2) - 1;
    this.inner = width - MARGIN.left - MARGIN.right;
    const rows = Array.from({ length: this.last + 1 }, (_, step) => steps.evaluations(step));
    const [low, high] = rangeOfLosses(rows);
    const lastGuided = rows.findLastIndex((evaluations) => evaluations.length > 0);
    const x = (step) => MARGIN.left + (step / this.last) * this.inner;
    const y = (loss) => MARGIN.top + ((high - loss) / (high - low)) * (HEIGHT - MARGIN.top - MARGIN.bottom);

    this.svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    this.svg.setAttribute("aria-label", describeLosses(rows, terms));
    this.svg.replaceChildren(
      ...axes(this.last, [low, high], x, y),
      ...limits.map(([step, limit], index) =>
        limitLine(step, limits[index + 1]?.[0] ?? Math.max(lastGuided, step + 1), limit, x, y),
      ),
      ...refinements(rows, x),
      ...terms.map((term, index) => line(rows, term, index, x, y)),
      cursor(rows[position] ?? [], terms, position, x, y),
    );
    this.legend.replaceChildren(
      ...terms.map((term, index) => legendEntry(term, index, rows[position] ?? [])),
      ...(limits.length > 0 ? [limitEntry()] : []),
    );
    this.reading.textContent = reading(rows, position, limits, most);
  }

  stepAt(clientX) {
    const box = this.svg.getBoundingClientRect();
    const share = (clientX - box.left - MARGIN.left) / this.inner;
    return Math.max(0, Math.min(this.last, Math.round(share * this.last)));
  }
}

/// What happened at a step, counted from 1: its refinement, what that was to reach, and whether it gave up after the most updates.
function reading(rows, position, limits, most) {
  const updates = (rows[position]?.length ?? 0) - 1;
  const last = rows.findLastIndex((evaluations) => evaluations.length > 0);
  if (updates < 0 && position > last) return `No guidance after step ${last + 1}.`;
  if (updates < 0) return `Step ${position + 1}: no guidance.`;
  const refined = updates === 0 ? "no refinement" : plural(updates, "refinement update");
  const limit = limits.find(([step]) => step === position)?.[1];
  if (limit === undefined) return `Step ${position + 1}: ${refined}.`;
  const gaveUp = updates > 0 && updates >= most && Math.max(...rows[position].at(-1)) > limit + 1e-6;
  const asked = `a loss of at most ${Number(limit.toFixed(3))} was asked for`;
  return `Step ${position + 1}: ${refined}, ${asked}${gaveUp ? ": limit hit, it was not reached" : ""}.`;
}

/// The ends of the axis: 0 and 1 if all losses lie there, otherwise their range.
function rangeOfLosses(rows) {
  const losses = rows.flat(2).filter(Number.isFinite);
  const [least, most] = [Math.min(...losses), Math.max(...losses)];
  if (losses.length === 0 || (least >= 0 && most <= 1)) return [0, 1];
  return most > least ? [least, most] : [least - 0.5, most + 0.5];
}

/// The terms with the number of their colour: that of their subject, or one that no other term has.
function withColours(terms) {
  let free = 1 + Math.max(-1, ...terms.map(({ subject }) => subject ?? -1));
  return terms.map((term) => ({ ...term, colour: term.subject ?? free++ }));
}

export function axes(last, [low, high], x, y) {
  const bottom = HEIGHT - MARGIN.bottom;
  const every = [1, 2, 5, 10, 20, 50, 100].find((step) => x(step) - x(0) >= 44) ?? last;
  // Steps count from 1 here, and at round numbers.
  const round = Array.from({ length: Math.floor((last + 1) / every) + 1 }, (_, i) => Math.max(0, i * every - 1));
  const across = [...new Set(round)];
  const up = Array.from({ length: 5 }, (_, i) => low + (i / 4) * (high - low));
  return [
    ...up.map((loss) => svgElement("line", { class: "grid", x1: x(0), x2: x(last), y1: y(loss), y2: y(loss) })),
    ...up.map((loss) => label(x(0) - 8, y(loss) + 4, loss.toFixed(2), "end")),
    ...across.map((step) =>
      svgElement("line", { class: "axis", x1: x(step), x2: x(step), y1: bottom, y2: bottom + 5 }),
    ),
    ...across.map((step) => label(x(step), bottom + 19, step + 1, "middle")),
    label((x(0) + x(last)) / 2, HEIGHT - 4, "step", "middle"),
  ];
}

/// The loss that refinement asks for at a step, up to the next such step, with its number where that has room.
function limitLine(from, to, limit, x, y) {
  const line = svgElement("line", { x1: x(from), x2: x(to), y1: y(limit), y2: y(limit) });
  const number = x(to) - x(from) < 48 ? [] : [label(x(to), y(limit) + 14, `≤ ${Number(limit.toFixed(3))}`, "end")];
  return svgElement("g", { class: "limit", "data-testid": "limit" }, line, ...number);
}

function limitEntry() {
  const line = svgElement("line", { x1: 0, x2: 32, y1: 5, y2: 5 });
  const swatch = svgElement("svg", { width: 32, height: 10, "aria-hidden": "true", class: "limit" }, line);
  return element("li", {}, swatch, element("span", { textContent: "asked for by refinement" }));
}

/// A mark with the number of updates at every step that was refined; numbers that would overlap are left out.
function refinements(rows, x) {
  const marks = [];
  let free = 0;
  rows.forEach((evaluations, step) => {
    const updates = evaluations.length - 1;
    if (updates < 1) return;
    marks.push(
      svgElement("line", {
        class: "refinement",
        x1: x(step),
        x2: x(step),
        y1: MARGIN.top - 8,
        y2: HEIGHT - MARGIN.bottom,
      }),
    );
    if (x(step) < free) return;
    free = x(step) + 34;
    marks.push(
      svgElement("g", { "data-testid": "refinement" }, label(x(step), MARGIN.top - 13, `${updates}×`, "middle")),
    );
  });
  return marks;
}

/// At a refined step the line goes straight from the first loss to the last.
function line(rows, term, index, x, y) {
  const points = rows.flatMap((evaluations, step) => {
    const losses = evaluations.map((row) => row[index]).filter(Number.isFinite);
    return (losses.length > 1 ? [losses[0], losses.at(-1)] : losses).map((loss) => `${x(step)},${y(loss)}`);
  });
  return svgElement("polyline", { ...stroke(term, index), points: points.join(" "), "data-testid": "loss-line" });
}

function cursor(evaluations, terms, position, x, y) {
  const losses = evaluations.at(-1) ?? [];
  const shown = terms.map((term, index) => ({ term, loss: losses[index] })).filter(({ loss }) => Number.isFinite(loss));
  return svgElement(
    "g",
    { class: "cursor", "data-testid": "chart-cursor", "data-step": position },
    svgElement("line", { x1: x(position), x2: x(position), y1: MARGIN.top, y2: HEIGHT - MARGIN.bottom }),
    ...shown.map(({ term, loss }) => svgElement("circle", { class: series(term), cx: x(position), cy: y(loss), r: 4 })),
  );
}

function legendEntry(term, index, evaluations) {
  const swatch = svgElement(
    "svg",
    { width: 32, height: 10, "aria-hidden": "true" },
    svgElement("line", { ...stroke(term, index), x1: 0, x2: 32, y1: 5, y2: 5 }),
  );
  const losses = evaluations.map((row) => written(row[index]));
  const value = losses.length > 1 ? `${losses[0]} to ${losses.at(-1)}` : (losses[0] ?? "–");
  return element(
    "li",
    {},
    swatch,
    element("span", { textContent: term.name }),
    element("span", { className: "value", textContent: value }),
  );
}

/// Where colours begin anew, patterns are shifted: no pair of both repeats among 36 terms of as many subjects.
function stroke(term, index) {
  const turn = Math.floor(index / COLOURS);
  return { class: `loss-line ${series(term)}`, "stroke-dasharray": DASHES[(index + turn) % DASHES.length] };
}

export function series({ colour }) {
  return `series-${colour % COLOURS}`;
}

/// A loss; JSON has `null` for one that is not a number.
function written(loss) {
  return Number.isFinite(loss) ? loss.toFixed(2) : "–";
}

export function label(x, y, text, anchor) {
  const node = svgElement("text", { x, y, "text-anchor": anchor });
  node.textContent = text;
  return node;
}

function describeLosses(rows, terms) {
  const known = rows.filter((evaluations) => evaluations.length > 0);
  const course = terms.map(({ name }, index) => {
    const [first, last] = [known[0]?.[0], known.at(-1)?.at(-1)];
    return first === undefined ? name : `${name} from ${written(first[index])} to ${written(last[index])}`;
  });
  const updates = known.reduce((sum, evaluations) => sum + evaluations.length - 1, 0);
  const steps = plural(known.length, "guided step");
  return `Loss over ${steps}: ${course.join(", ")}; ${plural(updates, "refinement update")}.`;
}

function plural(count, noun) {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
