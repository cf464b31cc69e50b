// Fills a report from the data in it. `view.js` says how the modules come into the page.

import { element } from "./dom.js";
import { foundText } from "./panel.js";
import { Options, changedSettings } from "./settings.js";
import { createRunView } from "./view.js";

const at = (id) => document.getElementById(id);
const record = JSON.parse(at("record").textContent);
const options = new Options(JSON.parse(at("schema").textContent));

showPictures();
at("run").append(noteOnUse());
createRunView(at("run"), { palette: record.palette, options, covered: true }).setRecord(record);
if (record.maps) at("run").append(element("p", { className: "hint", textContent: `${record.maps}.` }));
at("settings").append(changedSettings(record.settings, options, record));
at("command").textContent = record.command;
at("copy-command").addEventListener("click", copyCommand);
offerTrace();

function showPictures() {
  const { seed, settings, subjects } = record;
  at("summary").textContent = [
    `Seed ${seed}`,
    `${settings.width} × ${settings.height}`,
    `${settings.steps} steps of ${settings.scheduler}`,
    `model ${settings.model}`,
    `subjects: ${subjects.map(({ text }) => text).join(", ") || "none"}`,
  ].join(" · ");
  // Plain sampling first, as in the figures.
  const isGuided = ({ method }) => Number(method !== "stable-diffusion");
  for (const { method, picture, found } of record.runs.toSorted((a, b) => isGuided(a) - isGuided(b))) {
    const name = options.methodTitle(method);
    const image = element("img", { src: picture, alt: `“${record.prompt}”, drawn by ${name}` });
    const caption = element("figcaption", {}, element("strong", { textContent: name }));
    if (found) caption.append(element("span", { className: "found", textContent: foundText(found) }));
    at("pictures").append(element("figure", {}, image, caption));
  }
}

function noteOnUse() {
  return element("p", {
    className: "hint",
    textContent:
      "The slider, or a click into the chart, shows pictures, attention and loss at a step; the tokens choose whose.",
  });
}

async function copyCommand() {
  try {
    await navigator.clipboard.writeText(record.command);
    at("copy-status").textContent = "Copied.";
  } catch {
    // Browsers may refuse the clipboard to a file; the selected text can be copied by hand.
    getSelection().selectAllChildren(at("command"));
    at("copy-status").textContent = "Selected; copy it with Ctrl+C.";
  }
}

function offerTrace() {
  const trace = new Blob([at("trace").textContent], { type: "application/json" });
  at("save-trace").href = URL.createObjectURL(trace);
  at("save-trace").download = `trace-${record.seed}.json`;
}
