// How values are written in text fields, by their kind. An empty field leaves the choice to the model.

/// The forms that a text field takes; values of other kinds cannot be written.
export const PARSERS = {
  text: (value) => value,
  whole: parseWhole,
  number: parseNumber,
  pair: parsePair,
  words: (value) => list(value),
  indices: (value) => list(value).map(parseWhole),
  resolution: parseResolution,
  step: parseStep,
  thresholds: parseThresholds,
  pairs: (value) => (value === "none" ? [] : list(value)),
  groups: (value) => (value === "none" ? [] : list(value, ";")),
  boxes: (value) => (value === "auto" ? [] : list(value, ";")),
  initial_noise: (value) => value,
};

/// Reads "42", "0-3" or "1,5". Seeds that JavaScript cannot hold exactly are refused.
export function parseSeeds(value, most) {
  const seeds = value.split(",").flatMap((part) => {
    const match = /^\s*(\d+)\s*(?:-\s*(\d+)\s*)?$/.exec(part);
    if (!match) throw new Error(`invalid seed “${part.trim()}”: write 42, 0-3 or 1,5`);
    const [first, last] = [Number(match[1]), Number(match[2] ?? match[1])];
    if (!Number.isSafeInteger(last)) throw new Error(`seeds go up to ${Number.MAX_SAFE_INTEGER} here`);
    if (last < first) throw new Error(`the range ${first}-${last} runs backwards`);
    if (last - first >= most) throw new Error(`at most ${most} seeds at a time`);
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
  if (seeds.length > most) throw new Error(`at most ${most} seeds at a time`);
  return seeds;
}

export function randomSeed() {
  return crypto.getRandomValues(new Uint32Array(1))[0];
}

function list(value, separator = ",") {
  return value.split(separator).map((part) => part.trim());
}

function parseNumber(value) {
  // People in many countries write 7,5.
  const parsed = Number(value.replace(",", "."));
  if (!Number.isFinite(parsed)) throw new Error("write a number");
  return parsed;
}

function parseWhole(value) {
  if (!/^\d+$/.test(value)) throw new Error("write a whole number");
  return Number(value);
}

function parsePair(value) {
  const match = /^(-?\d*\.?\d+)\s*[-,]\s*(-?\d*\.?\d+)$/.exec(value);
  if (!match) throw new Error("write two numbers, as 1.0, 0.5");
  return [Number(match[1]), Number(match[2])];
}

function parseResolution(value) {
  const match = /^(\d+)(?:\s*[x×]\s*(\d+))?$/.exec(value);
  if (!match) throw new Error("write 16, or rows x columns such as 12x20");
  return [Number(match[1]), Number(match[2] ?? match[1])];
}

/// A number of steps, or a share of them as a text.
function parseStep(value) {
  if (/^\d*\.?\d+\s*%$/.test(value)) return value.replace(/\s/g, "");
  if (/^\d+$/.test(value)) return Number(value);
  throw new Error("write a number of steps as 25, or a share of them as 50%");
}

function parseThresholds(value) {
  if (value === "none") return {};
  const pairs = list(value).map((part) => {
    const match = /^(\d+|\d*\.?\d+\s*%)\s*:\s*(\d*\.?\d+)$/.exec(part);
    if (!match) throw new Error("write step:attention, as 0%:0.05, 20%:0.5 or 0:0.05, 10:0.5, or none");
    return [match[1].replace(/\s/g, ""), Number(match[2])];
  });
  return Object.fromEntries(pairs);
}
