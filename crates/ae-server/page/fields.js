// The settings as text fields: how each is read and written. An empty field leaves the choice to the model.

const text = { parse: (value) => value, format: (value) => value };
const number = { parse: parseNumber, format: String };
const whole = { parse: parseWhole, format: String };
const thresholds = {
  parse: parseThresholds,
  format: (value) =>
    Object.entries(value)
      .map(([step, least]) => `${step}:${least}`)
      .join(", ") || "none",
};
const range = { parse: parseRange, format: ([from, to]) => `${decimal(from)}-${decimal(to)}` };
const resolution = {
  parse: parseResolution,
  format: ([rows, cols]) => (rows === cols ? `${rows}` : `${rows}x${cols}`),
};

/// Fields of the request itself; a field's name is the id of its input.
export const REQUEST_FIELDS = {
  model: text,
  device: text,
  method: text,
  negative_prompt: text,
  width: whole,
  height: whole,
  steps: whole,
  guidance_scale: number,
  scheduler: text,
  rng: text,
  clip_skip: whole,
};

/// Fields of its `attend_and_excite`.
export const GUIDANCE_FIELDS = {
  max_iter_to_alter: whole,
  thresholds,
  max_refinement_steps: whole,
  scale_factor: number,
  scale_range: range,
  attention_scale: number,
  attention_res: resolution,
  sigma: number,
  kernel_size: whole,
  eot_normalization: text,
};

/// Reads "42", "0-3" or "1,5". Seeds that JavaScript cannot hold exactly are refused.
export function parseSeeds(value, most) {
  const seeds = value.split(",").flatMap((part) => {
    const match = /^\s*(\d+)\s*(?:-\s*(\d+)\s*)?$/.exec(part);
    if (!match) throw new Error("write seeds as 42, 0-3 or 1,5");
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

function parseThresholds(value) {
  if (value === "none") return {};
  const pairs = value.split(",").map((part) => {
    const match = /^\s*(\d+)\s*:\s*(\d*\.?\d+)\s*$/.exec(part);
    if (!match) throw new Error("write step:attention, as 0:0.05, 10:0.5, 20:0.8, or none");
    return [match[1], Number(match[2])];
  });
  return Object.fromEntries(pairs);
}

function parseRange(value) {
  const match = /^(\d*\.?\d+)\s*[-,]\s*(\d*\.?\d+)$/.exec(value);
  if (!match) throw new Error("write two numbers, as 1.0-0.5");
  return [Number(match[1]), Number(match[2])];
}

function parseResolution(value) {
  const match = /^(\d+)(?:\s*[x×]\s*(\d+))?$/.exec(value);
  if (!match) throw new Error("write 16, or rows x columns as 12x20");
  return [Number(match[1]), Number(match[2] ?? match[1])];
}

function decimal(value) {
  return Number.isInteger(value) ? value.toFixed(1) : String(value);
}
