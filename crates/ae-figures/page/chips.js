// The tokens of the prompt, as buttons that choose whose attention lies over the picture.

import { element } from "./dom.js";
import { rove } from "./rove.js";

export class TokenChips {
  /// `onChange` gets the texts of the chosen tokens.
  constructor(onChange) {
    this.onChange = onChange;
    this.root = element("div", { className: "chips", role: "group", "aria-label": "Tokens whose attention is shown" });
    rove(this.root);
    this.clear();
  }

  clear() {
    this.setPrompt([], []);
  }

  /// Another prompt: all its subjects are chosen.
  setPrompt(tokens, subjects) {
    this.tokens = tokens;
    this.subjects = subjects;
    this.chosen = new Set(subjects.flatMap(({ positions }) => positions));
    this.draw(new Set());
  }

  /// `mapped` are the positions of the tokens that have maps; the others cannot be chosen.
  draw(mapped) {
    const chips = this.tokens.map((token) => this.chip(token, mapped.has(token.index)));
    this.root.replaceChildren(element("span", { className: "label", textContent: "Show attention for" }), ...chips);
  }

  chip({ index, text, kind, subject }, mapped) {
    const name = kind === "text" ? text : `‹${kind}›`;
    const chip = element(
      "button",
      { type: "button", className: "chip", "aria-pressed": this.chosen.has(index), disabled: !mapped },
      name,
    );
    if (isSubject(subject)) {
      chip.append(
        element("span", { className: "visually-hidden", textContent: "subject" }),
        element("span", { className: "subject-number", textContent: subject + 1 }),
      );
    }
    chip.addEventListener("click", () => {
      if (!this.chosen.delete(index)) this.chosen.add(index);
      chip.setAttribute("aria-pressed", this.chosen.has(index));
      this.onChange(this.names);
    });
    return chip;
  }

  /// The chosen words as lists of positions: the tokens of one subject together, as its loss takes them.
  get words() {
    const single = this.tokens.filter(({ index, subject }) => this.chosen.has(index) && !isSubject(subject));
    const subjects = this.subjects.map(({ positions }) => positions.filter((position) => this.chosen.has(position)));
    return [...subjects.filter((positions) => positions.length > 0), ...single.map(({ index }) => [index])];
  }

  /// The texts of the chosen tokens.
  get names() {
    const chosen = this.tokens.filter(({ index }) => this.chosen.has(index));
    return chosen.map(({ text }) => text).join(", ") || "no token";
  }
}

function isSubject(subject) {
  return subject !== null && subject !== undefined;
}
