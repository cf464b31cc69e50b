// The settings of a picture as rows of a table, in plain words.

import { element } from "./dom.js";
import { METHOD_NAMES } from "./panel.js";

const LABELS = {
  prompt: "Prompt",
  negative_prompt: "Negative prompt",
  seed: "Seed",
  seeds: "Seeds",
  subjects: "Subjects",
  token_indices: "Token positions",
  method: "Method",
  model: "Model",
  device: "Device",
  width: "Width",
  height: "Height",
  steps: "Steps",
  guidance_scale: "Guidance scale",
  scheduler: "Sampler",
  rng: "Random numbers",
  prompt_weighting: "Prompt weighting",
  strength: "Share that is drawn anew",
  clip_skip: "Layers of the text encoder left out",
  max_iter_to_alter: "Latents altered below step",
  thresholds: "Thresholds of refinement",
  max_refinement_steps: "Most updates of one refinement",
  scale_factor: "Scale factor",
  scale_range: "Scale range",
  attention_scale: "Attention scale",
  attention_res: "Resolution of the maps",
  smoothing: "Maps smoothed",
  sigma: "Smoothing sigma",
  kernel_size: "Smoothing kernel",
  eot_normalization: "End token normalized",
  version: "Version",
};

/// What `null` stands for where it is not the model's choice; nothing where the row says nothing.
const ABSENT = {
  subjects: "automatic",
  token_indices: null,
  strength: null,
  attention_res: "automatic",
  sigma: null,
  kernel_size: null,
};

/// A table of settings as the `settings` text of a PNG holds them. Settings without a label appear by their name.
export function settingsTable(settings) {
  const { attend_and_excite: guidance, ...rest } = settings;
  const all = { ...rest, ...(settings.method === "stable-diffusion" ? {} : guidance) };
  const names = [
    ...Object.keys(LABELS).filter((name) => name in all),
    ...Object.keys(all).filter((name) => !(name in LABELS)),
  ];
  const rows = names
    .filter((name) => all[name] !== null || ABSENT[name] !== null)
    .map((name) => [LABELS[name] ?? name, settingText(name, all[name])]);
  return element(
    "table",
    { className: "settings-table" },
    element("tbody", {}, ...rows.map(([label, text]) => settingRow(label, text))),
  );
}

function settingRow(label, text) {
  const heading = element("th", { scope: "row", textContent: label });
  return element("tr", {}, heading, element("td", { textContent: text }));
}

function settingText(name, value) {
  if (value === null) return ABSENT[name] ?? "the model’s";
  if (name === "method") return METHOD_NAMES[value] ?? value;
  if (value === "") return "none";
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (Array.isArray(value)) return value.join(name === "attention_res" ? " × " : ", ");
  if (typeof value === "object")
    return (
      Object.entries(value)
        .map(([key, each]) => `${key}: ${each}`)
        .join(", ") || "none"
    );
  return String(value);
}
