// The options of a picture, as the schema of the settings says them: what each is called and how its values read.

import { element } from "./dom.js";

export class Options {
  /// `schema` is the JSON Schema of settings.
  constructor(schema) {
    this.properties = schema.properties;
    this.methods = schema["x-methods"];
    const listed = ([name, each]) =>
      this.isGroup(name)
        ? Object.entries(each.properties).map(([member, option]) => ({ ...option, name: member, group: name }))
        : [{ ...each, name, group: null }];
    /// Every option with its name and the group that it is a member of, in the order of the table.
    this.all = Object.entries(schema.properties)
      .flatMap(listed)
      .toSorted((a, b) => (a["x-order"] ?? Infinity) - (b["x-order"] ?? Infinity));
  }

  /// Whether a name is that of a group of options, and not of one.
  isGroup(name) {
    return name in this.properties && !("x-kind" in this.properties[name]);
  }

  /// The method of a name, or the usual one.
  methodOf(name) {
    return this.methods.find((method) => method.name === name) ?? this.methods[0];
  }

  /// Whether a method reads an option.
  isReadBy(method, name) {
    return method?.options.includes(name) || !this.methods.some(({ options }) => options.includes(name));
  }

  /// What an option stands for where it is not given: `defaults` are those of a model, with those of its methods.
  defaultOf(option, defaults, method) {
    const known = [defaults?.methods?.[method?.name], defaults?.settings, method?.defaults];
    return known.map((settings) => this.valueIn(settings, option)).find((value) => value !== undefined) ?? option.default;
  }

  /// The name of a method for people.
  methodTitle(name) {
    return this.methods.find((method) => method.name === name)?.title ?? name;
  }

  /// A value of an option for people, in the form in which a command line takes it.
  text(option, value) {
    return option.name === "method" ? this.methodTitle(value) : valueText(option["x-kind"], value);
  }

  /// The value of an option in settings, if there is one.
  valueIn(settings, { name, group }) {
    return (group ? settings?.[group]?.[name] : settings?.[name]) ?? undefined;
  }
}

/// A table of settings as the `settings` text of a PNG holds them. What is no option appears by its name.
export function settingsTable(settings, options) {
  return tableOf(settingRows(settings, options));
}

/// The settings in groups: those that were changed with what they are otherwise, the others folded away. `defaults` are the
/// settings of the model where nothing is given, `command` is the call that draws the picture.
export function changedSettings(settings, options, { defaults, command }) {
  const rows = settingRows(settings, options).map((row) => ({ ...row, usual: usualOf(row, options, defaults, command) }));
  const isShown = ({ option, usual }) => usual !== null || SHOWN.includes(option?.name);
  const rest = rows.filter((row) => !isShown(row));
  const count = `${rest.length} setting${rest.length === 1 ? "" : "s"} as the model has ${rest.length === 1 ? "it" : "them"}`;
  const folded = element("details", { className: "settings-rest" }, element("summary", { textContent: count }), tableOf(rest));
  return element("div", { className: "settings" }, tableOf(rows.filter(isShown)), folded);
}

/// What is shown whether it was changed or not.
const SHOWN = ["prompt", "seed", "subjects", "method", "model"];

/// What a setting is where nobody changes it, in words; `null` of one that was not changed.
function usualOf({ option, value }, options, defaults, command) {
  if (!option || SHOWN.includes(option.name) || option["x-group"] === "record") return null;
  const usual = options.valueIn(defaults, option) ?? option.default ?? null;
  const isSame = (one, other) => JSON.stringify(one) === JSON.stringify(other);
  if (usual !== null) return isSame(usual, value) ? null : `default: ${options.text(option, usual)}`;
  // What is found out for each picture was changed if the call says so.
  return command.includes(` --${option["x-flag"]}`) ? `default: ${option["x-default"] ?? "none"}` : null;
}

function settingRows(settings, options) {
  const known = options.all
    .map((option) => ({ option, value: options.valueIn(settings, option) }))
    .filter(({ value }) => value !== undefined)
    .map(({ option, value }) => ({ option, value, label: option.title, text: options.text(option, value) }));
  const others = Object.entries(settings)
    .filter(([name, value]) => !(name in options.properties) && value !== null)
    .map(([name, value]) => ({ value, label: name, text: valueText(undefined, value) }));
  return [...known, ...others];
}

/// One part for each group, in the order of the first of its options.
function tableOf(rows) {
  const groups = Map.groupBy(rows, ({ option }) => option?.["x-heading"] ?? "");
  const parts = [...groups].map(([heading, members]) => {
    const title = element("th", { scope: "rowgroup", colSpan: 2, textContent: heading || "Other" });
    return element("tbody", {}, element("tr", { className: "group" }, title), ...members.map(settingRow));
  });
  return element("table", { className: "settings-table" }, ...parts);
}

function settingRow({ label, text, usual }) {
  const heading = element("th", { scope: "row", textContent: label });
  const value = element("td", { textContent: text || "none" });
  if (usual) value.append(" ", element("span", { className: "usual", textContent: `(${usual})` }));
  return element("tr", usual ? { className: "changed" } : {}, heading, value);
}

function valueText(kind, value) {
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (kind === "resolution") return value[0] === value[1] ? `${value[0]}` : value.join("x");
  if (kind === "thresholds") return thresholdsText(value) || "none";
  if (kind === "pairs" && value.length === 0) return "none";
  if (kind === "groups") return value.join("; ") || "none";
  if (kind === "boxes") return value.join("; ") || "auto";
  if (Array.isArray(value)) return value.map((each) => valueText(undefined, each)).join(", ");
  if (value?.name !== undefined) return [value.name, value.strength ?? value.token ?? []].flat().join(":");
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/// Steps in their order; JSON has them in that of their letters.
function thresholdsText(thresholds) {
  const pairs = Object.entries(thresholds).toSorted(([a], [b]) => parseFloat(a) - parseFloat(b));
  return pairs.map(([step, threshold]) => `${step}:${threshold}`).join(", ");
}
