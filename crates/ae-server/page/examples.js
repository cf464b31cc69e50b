// Prompts to begin with, for those who see the page for the first time.

import { element } from "./dom.js";

/// Two things with colours or of the same kind: where plain sampling loses one. The embedded model knows all of them.
const PROMPTS = ["a lion and a red car", "a cat and a frog", "a bear and a yellow crown", "an elephant and a blue bowl"];

const at = (id) => document.getElementById(id);

/// `onChoose` gets the prompt.
export function showExamples(onChoose) {
  at("examples-list").replaceChildren(
    ...PROMPTS.map((prompt) =>
      element("button", { type: "button", className: "chip", onclick: () => onChoose(prompt) }, prompt),
    ),
  );
  at("examples").hidden = false;
}
