// What a plot varies: options of the schema, each with a list of values.

import { isShowable } from "./control.js";
import { PARSERS } from "./fields.js";

/// Groups of options that make sense beside each other; the device changes no picture.
const GROUPS = ["prompt", "sampling", "method", "objective"];
const SWITCH = { yes: true, on: true, true: true, no: false, off: false, false: false };

/// The options that can be varied.
export function axisOptions(options) {
  const isWanted = (option) => isShowable(option) && option.name !== "device";
  return options.all.filter((option) => isWanted(option) && (option.group || GROUPS.includes(option["x-group"])));
}

/// Values to begin with, as text: all of a choice, else none.
export function firstValues(option) {
  if (option["x-kind"] === "switch") return "yes\nno";
  return (option.enum ?? []).join("\n");
}

/// How the values of an option are written.
export function valuesHint(option) {
  const range = [option.minimum, option.maximum].map((bound) => bound ?? "…").join(" to ");
  if (isNumeric(option)) return `Numbers with commas between them, from ${range}.`.replace(", from … to …", "");
  return "One value a line.";
}

function isNumeric({ "x-kind": kind }) {
  return kind === "whole" || kind === "number";
}

/// Reads a list of values; each has the `value` of a request, and its `text`.
export function parseValues(option, list, options) {
  const texts = list.split(isNumeric(option) ? /[\n,;]+/ : /\n+/).map((text) => text.trim());
  const values = texts.filter(Boolean).map((text) => {
    const value = parseValue(option, text);
    return { value, text: option.name === "method" ? options.methodTitle(value) : text };
  });
  if (values.length === 0) throw new Error(`${option.title}: write at least one value`);
  const repeated = values.find(({ text }, index) => values.findIndex((other) => other.text === text) !== index);
  if (repeated) throw new Error(`${option.title}: ${repeated.text} is there twice`);
  return values;
}

function parseValue(option, text) {
  const refuse = (reason) => {
    throw new Error(`${option.title}: ${text}: ${reason}`);
  };
  if (option["x-kind"] === "switch") return SWITCH[text.toLowerCase()] ?? refuse("write yes or no");
  if (option.enum) return option.enum.includes(text) ? text : refuse(`expected one of ${option.enum.join(", ")}`);
  let value;
  try {
    value = PARSERS[option["x-kind"]](text);
  } catch (error) {
    refuse(error.message);
  }
  if (value < option.minimum) refuse(`at least ${option.minimum}`);
  if (value > option.maximum) refuse(`at most ${option.maximum}`);
  return value;
}

/// A request with the value of an option; options of other methods are left out, as the form leaves them out.
export function withValues(request, pairs, options) {
  const all = { ...request };
  for (const [{ name, group }, value] of pairs) {
    if (group) all[group] = { ...all[group], [name]: value };
    else all[name] = value;
    // Words of another prompt.
    if (name === "prompt") delete all.subjects, delete all.token_indices;
  }
  const method = options.methodOf(all.method);
  for (const { name, group } of options.all) {
    if (options.isReadBy(method, name)) continue;
    const varied = pairs.find(([option]) => option.name === name);
    if (varied && !pairs.some(([option]) => option.name === "method"))
      throw new Error(`${varied[0].title} is no option of ${method.title}: choose another method, or vary something else`);
    if (!group) delete all[name];
    else if (all[group]) {
      const { [name]: _, ...others } = all[group];
      all[group] = others;
      if (Object.keys(others).length === 0) delete all[group];
    }
  }
  return all;
}
