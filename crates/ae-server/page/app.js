// The studio: ties form, jobs, live run and gallery together.

import { Additions } from "./additions.js";
import { api } from "./api.js";
import { copyMenu } from "./copy.js";
import { askWhatFor } from "./dropped.js";
import { randomSeed } from "./fields.js";
import { Form } from "./form.js";
import { History } from "./history.js";
import { Jobs, isOpen } from "./jobs.js";
import { Live } from "./live.js";
import { ModelCard, withWord } from "./models.js";
import { Presets } from "./presets.js";
import { acceptPictures } from "./restore.js";
import { Results } from "./results.js";
import { beginKeys } from "./shortcuts.js";
import { showExamples } from "./examples.js";
import { Options } from "./settings.js";
import { Start } from "./start.js";
import { offerNotifications } from "./title.js";
import { toast } from "./toast.js";
import { Vary } from "./vary.js";
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
let latestPicture;

const results = new Results({ onCancel: cancel, onError: showError, announce });

const jobs = new Jobs({
  onConnection,
  onError: showError,
  onCancel: cancel,
  onOpen: ({ id }) => results.open([id]),
  onEnded: ({ request, error }) => {
    if (error) showError(new Error(`${request.prompt}: ${error}`));
    results.gallery.refresh();
  },
  onChange: () => {
    results.plot.update(jobs.jobs);
    followNext();
  },
});

function followNext() {
  // A list that is a little older than the last event may still hold the job that has just ended.
  if (!live.busy && jobs.active && jobs.active.id !== live.job?.id) {
    live.follow(jobs.active);
    results.update(jobs.active);
  }
}

async function begin() {
  const [{ version, palette, limits }, schema, { models }, { devices }, adapters] = await Promise.all([
    api.info(),
    api.schema(),
    api.models(),
    api.devices(),
    api.adapters(),
  ]);
  const options = new Options(schema);
  at("version").textContent = version;
  const view = createRunView(at("run"), { palette, options });
  const defaultsOf = (id) => (form.models.find((model) => model.id === id) ?? form.models[0]).defaults;
  const onLive = {
    onJob: (job) => onJob(job).catch(showError),
    onStep: ({ preview }, seed) => results.seeds.preview(seed, preview),
    onCancel: cancel,
    onConnection,
  };
  live = new Live({ view, options, announce, defaultsOf, ...onLive });
  const usual = () => form?.defaults?.settings ?? {};
  const onChange = () => form?.changed();
  start = new Start({ limits, defaults: () => ({ ...usual(), multiple: form?.defaults?.multiple ?? 8 }), onChange });
  const card = new ModelCard({ onWord, onArrived: refreshModels, onError: showError });
  const parts = [start, new Additions({ adapters, usual, onChange })];
  const onTokens = ({ unknown = [] }) => card.warn(unknown);
  // Also while the form is made, when there is none yet.
  const onRefresh = () => form && showModel(card);
  form = new Form({ options, models, devices, parts, onSubmit: generate, onTokens, onRefresh });
  form.changed();
  history = new History(() => form.setPrompt(at("prompt").value));
  beginTools();
  results.begin({
    view: createRunView(at("detail-run"), { palette, options }),
    options,
    models,
    onUse: useSettings,
    onAgain: (settings) => {
      useSettings({ ...settings, seeds: [randomSeed()] });
      form.submit();
    },
  });
  const vary = new Vary({
    options,
    limits,
    readForm: () => form.request(),
    waiting: () => jobs.jobs.filter(({ state }) => state === "queued").length,
    onStart: (plan, started) => {
      results.plot.start(plan, started);
      jobs.refresh();
    },
  });
  at("detail-actions").append(
    copyMenu(
      () => results.detail.settings,
      ({ message }) => results.detail.showError(message),
    ),
  );
  at("vary-open").addEventListener("click", () => vary.open());
  acceptPictures(restoreFrom, askFor);
  beginKeys({ view, detail: results.detail, live, cancel, drawAgain: () => form.submitWith(randomSeed()) });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || document.querySelector("dialog[open]")) return;
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
  await results.plot.restore();
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
  await Promise.all([results.refresh(), jobs.refresh()]);
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
  results.update(job);
  const latest = job.pictures.at(-1);
  if (latest && latest !== latestPicture) {
    latestPicture = latest;
    await results.gallery.refresh();
    await showPictures(await results.entry(latest));
    // Another model is loaded now, and has told its defaults.
    if (form.lacksDefaults || !form.models.find(({ id }) => id === at("model").value)?.loaded) await refreshModels();
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

/// A word of the model's own goes into the prompt.
function onWord(word, isColour) {
  form.setPrompt(withWord(at("prompt").value, word, isColour));
  announce(`“${word}” is in the prompt.`);
}

function showModel(card) {
  card.label(form.models);
  card.show(form.models.find(({ id }) => id === at("model").value));
}

async function refreshModels() {
  form.setModels((await api.models()).models);
  form.changed();
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
