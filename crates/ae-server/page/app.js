// The studio: ties form, jobs, live run and gallery together.

import { api } from "./api.js";
import { copyMenu } from "./copy.js";
import { Detail } from "./detail.js";
import { askWhatFor } from "./dropped.js";
import { randomSeed } from "./fields.js";
import { Form } from "./form.js";
import { Gallery } from "./gallery.js";
import { History } from "./history.js";
import { Jobs, isOpen } from "./jobs.js";
import { Live } from "./live.js";
import { Presets } from "./presets.js";
import { acceptPictures } from "./restore.js";
import { beginKeys } from "./shortcuts.js";
import { showExamples } from "./examples.js";
import { Options } from "./settings.js";
import { Start } from "./start.js";
import { offerNotifications } from "./title.js";
import { toast } from "./toast.js";
import { createRunView } from "./view.js";

const at = (id) => document.getElementById(id);

const announce = (text) => {
  at("status").textContent = text;
};

const onConnection = (connected) => {
  at("connection").hidden = connected;
};

let form;
let start;
let history;
let live;
let detail;

const gallery = new Gallery((entry) => detail.open(entry));

const jobs = new Jobs({
  onConnection,
  onError: showError,
  onCancel: cancel,
  onOpen: openPicture,
  onEnded: ({ request, error }) => {
    if (error) showError(new Error(`${request.prompt}: ${error}`));
    gallery.refresh();
  },
  onChange: followNext,
});

function followNext() {
  // A list that is a little older than the last event may still hold the job that has just ended.
  if (!live.busy && jobs.active && jobs.active.id !== live.job?.id) live.follow(jobs.active);
}

async function begin() {
  const [{ version, palette, limits }, schema, { models }, { devices }] = await Promise.all([
    api.info(),
    api.schema(),
    api.models(),
    api.devices(),
  ]);
  const options = new Options(schema);
  at("version").textContent = version;
  const view = createRunView(at("run"), { palette, options });
  const defaultsOf = (id) => (form.models.find((model) => model.id === id) ?? form.models[0]).defaults?.settings;
  const onLive = { onJob: (job) => onJob(job).catch(showError), onCancel: cancel, onConnection };
  live = new Live({ view, options, announce, defaultsOf, ...onLive });
  const usual = () => form?.defaults?.settings ?? {};
  const onChange = () => form?.changed();
  start = new Start({ limits, defaults: () => ({ ...usual(), multiple: form?.defaults?.multiple ?? 8 }), onChange });
  form = new Form({ options, models, devices, parts: [start], onSubmit: generate });
  history = new History(() => form.setPrompt(at("prompt").value));
  beginTools();
  detail = new Detail({
    view: createRunView(at("detail-run"), { palette, options }),
    options,
    onUse: useSettings,
    onAgain: (settings) => {
      useSettings({ ...settings, seeds: [randomSeed()] });
      form.submit();
    },
    onRemoved: (id) => {
      gallery.remove(id);
      announce("Deleted.");
    },
  });
  at("detail-actions").append(copyMenu(() => detail.settings, ({ message }) => detail.showError(message)));
  acceptPictures(restoreFrom, askFor);
  beginKeys({ view, detail, live, cancel, drawAgain: () => form.submitWith(randomSeed()) });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || at("detail").open) return;
    // Otherwise a focused button would be pressed, too.
    event.preventDefault();
    form.submit();
  });
  // Other pages and programs draw with the same server.
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible") refresh();
  });
  performance.mark("ready");
  await refresh();
}

/// What stands around the form.
function beginTools() {
  new Presets({
    root: at("presets-slot"),
    read: () => form.request(),
    apply: (settings, name) => fillWithUndo({ ...settings, ...form.ofPicture }, `“${name}” is in the form.`),
    onError: (error) => form.refused(error),
  });
  at("form-tools").append(copyMenu(() => form.request(), (error) => form.refused(error)));
  offerNotifications(at("notify"), () => toast("The browser allows no notifications here."));
  if (form.isFirstVisit)
    showExamples((prompt) => {
      form.setPrompt(prompt);
      form.submit();
    });
}

async function refresh() {
  await Promise.all([gallery.refresh(), jobs.refresh()]);
}

async function generate(request) {
  try {
    jobs.update(await api.generate(request));
    history.add(request.prompt);
    // A short job may be over before the list of jobs is there.
    followNext();
    announce("Added to the queue.");
    // On a phone the run is far below the form, beside a long form far above.
    const { top } = at("run-heading").getBoundingClientRect();
    if (top < 0 || top > innerHeight / 2) at("run-heading").scrollIntoView();
    jobs.refresh();
  } catch (error) {
    form.refused(error);
  }
}

async function cancel({ id }) {
  try {
    jobs.update(await api.cancel(id));
  } catch (error) {
    showError(error);
  }
  jobs.refresh();
}

/// A new state of the job that is followed.
async function onJob(job) {
  jobs.update(job);
  if (job.pictures.length > 0 && job.pictures.at(-1) !== gallery.entries[0]?.id) {
    await gallery.refresh();
    await showPictures(gallery.find(job.pictures.at(-1)));
    if (form.lacksDefaults) form.setModels((await api.models()).models);
  }
  if (!isOpen(job)) jobs.refresh();
}

/// Puts a finished picture into the live view, if that still shows its seed.
async function showPictures(entry) {
  const { view } = live;
  const shown = view.shown.filter(({ seed }) => seed === entry?.settings.seed);
  if (shown.length === 0) return;
  if (entry.plain && shown.length < 2) {
    // A page that came in the middle has seen one of the two runs only.
    view.setRecord(await api.record(entry.id));
    return;
  }
  const both = shown.length === 2;
  for (const { run, method } of shown) {
    view.setPicture(run, both && method === "stable-diffusion" ? api.plainUrl(entry.id) : api.pictureUrl(entry.id));
  }
}

async function openPicture(id) {
  try {
    detail.open(gallery.find(id) ?? (await api.entry(id)));
  } catch (error) {
    showError(error);
  }
}

function useSettings(settings) {
  fillWithUndo(settings, "The settings are in the form.");
  at("prompt").focus();
}

/// Fills the form; what was in it can come back.
function fillWithUndo(settings, text) {
  const before = form.state;
  form.fill(settings);
  toast(text, { label: "Undo", act: () => form.restore(before) });
}

/// A picture that was dropped: it may have settings, and it may be what a new one starts from.
async function askFor(file) {
  const settings = await api.readSettings(file).catch(() => null);
  const onStart = () => start.choose(file);
  askWhatFor(file, { hasSettings: settings !== null, onStart, onRestore: () => useSettings(settings.settings) });
}

async function restoreFrom(file) {
  try {
    useSettings((await api.readSettings(file)).settings);
  } catch (error) {
    showError(new Error(`${file.name}: ${error.message}`));
  }
}

/// Below the prompt, where it is seen; also before there is a form.
function showError({ message }) {
  at("form-error").textContent = message;
  at("form-error").hidden = false;
}

begin().catch(showError);
