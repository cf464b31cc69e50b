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
  const known = options.all
    .map((option) => [option.title, options.valueIn(settings, option), option])
    .filter(([, value]) => value !== undefined)
    .map(([title, value, option]) => [title, options.text(option, value)]);
  const others = Object.entries(settings)
    .filter(([name, value]) => !(name in options.properties) && value !== null)
    .map(([name, value]) => [name, valueText(undefined, value)]);
  return element(
    "table",
    { className: "settings-table" },
    element("tbody", {}, ...[...known, ...others].map(([label, text]) => settingRow(label, text || "none"))),
  );
}

function settingRow(label, text) {
  const heading = element("th", { scope: "row", textContent: label });
  return element("tr", {}, heading, element("td", { textContent: text }));
}

function valueText(kind, value) {
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (kind === "resolution") return value[0] === value[1] ? `${value[0]}` : value.join("x");
  if (kind === "thresholds") return thresholdsText(value) || "none";
  if (Array.isArray(value)) return value.map((each) => valueText(undefined, each)).join(", ");
  if (value?.name !== undefined) return [value.name, value.strength ?? value.token ?? []].flat().join(":");
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/// Steps in their order; JSON has them in that of their letters.
function thresholdsText(thresholds) {
  const pairs = Object.entries(thresholds).toSorted(([a], [b]) => parseFloat(a) - parseFloat(b));
  return pairs.map(([step, threshold]) => `${step}:${threshold}`).join(", ");
}
