// What the page remembers in the browser. Without storage, as in some private windows, it remembers nothing.

const FORM = "attend-and-excite-form";
const PLOT = "attend-and-excite-plot";

export const loadForm = () => load(FORM);
export const saveForm = (state) => save(FORM, state);
export const loadPlot = () => load(PLOT);
export const savePlot = (state) => save(PLOT, state);

function load(key) {
  try {
    return JSON.parse(localStorage.getItem(key)) ?? {};
  } catch {
    return {};
  }
}

function save(key, state) {
  try {
    localStorage.setItem(key, JSON.stringify(state));
  } catch {
    // The page works all the same.
  }
}
