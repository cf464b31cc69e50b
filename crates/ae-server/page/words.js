// The words of the prompt as buttons: pressed ones are subjects.

import { ApiError, api } from "./api.js";
import { element } from "./dom.js";

const DELAY = 250;
const NOTES = {
  automatic: "Chosen automatically. Choose words to decide yourself.",
  own: "Your choice.",
  none: "No word is chosen. Choose at least one, or go back to automatic.",
  positions: "Single token positions, as the settings say. Choosing a word replaces them.",
};

const at = (id) => document.getElementById(id);

export class Words {
  /// `onChange` is called when the user chose other subjects.
  constructor(onChange) {
    this.onChange = onChange;
    this.tokens = [];
    this.words = [];
    this.choice = {};
    at("subjects-automatic").addEventListener("click", () => {
      this.choose({});
      at("words").querySelector("button")?.focus();
    });
  }

  /// The part of a request that names the subjects: nothing, `subjects` or `token_indices`.
  get choice() {
    return this.chosen;
  }

  set choice({ subjects, token_indices: positions }) {
    this.chosen = subjects ? { subjects } : positions ? { token_indices: positions } : {};
    this.draw();
  }

  get isEmpty() {
    return this.chosen.subjects?.length === 0;
  }

  choose(choice) {
    this.choice = choice;
    this.onChange();
  }

  /// Asks for the words again, after a pause in typing.
  refresh(request) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.load(request), DELAY);
  }

  async load(request) {
    this.prompt = request.prompt;
    let answer = { tokens: [], words: [], truncation: null };
    let problem = "";
    try {
      if (request.prompt.trim()) answer = await api.tokens(request);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      problem = error.message;
    }
    // The prompt has changed meanwhile; a newer answer is on its way.
    if (this.prompt !== request.prompt) return;
    const { truncation } = answer;
    if (truncation)
      problem = `The prompt is too long: its last ${truncation.tokens} tokens are left out: “${truncation.text}”.`;
    at("words-warning").textContent = problem;
    at("words-warning").hidden = problem === "";
    this.tokens = answer.tokens;
    this.words = answer.words;
    this.draw();
  }

  draw() {
    const { subjects, token_indices: positions } = this.chosen;
    // Phrases, and words that the prompt no longer has, stay visible until they are taken away.
    const others = (subjects ?? []).filter((subject) => !this.words.some((word) => word.subject === subject));
    const focused = document.activeElement?.closest("#words button")?.dataset.subject;
    at("words").replaceChildren(...this.wordChips(), ...others.map((subject) => this.otherChip(subject)));
    if (focused !== undefined)
      [...at("words").querySelectorAll("button")].find((chip) => chip.dataset.subject === focused)?.focus();
    at("subjects-automatic").hidden = !subjects && !positions;
    const state = positions ? "positions" : !subjects ? "automatic" : this.isEmpty ? "none" : "own";
    at("words-note").textContent = NOTES[state];
  }

  /// In the order of the tokens; punctuation belongs to no word and cannot be chosen.
  wordChips() {
    const chips = [];
    let last = null;
    for (const { index, text, kind, word } of this.tokens) {
      if (kind !== "text" || (word !== null && word === last)) continue;
      last = word;
      const place = word === null ? index : this.words[word].positions.join("+");
      const number = element("span", { className: "position", textContent: place, "aria-hidden": "true" });
      chips.push(
        word === null
          ? element("span", { className: "punctuation" }, text, number)
          : this.chip(this.words[word].subject, this.words[word].text, number),
      );
    }
    return chips;
  }

  otherChip(subject) {
    const inPrompt = this.prompt?.toLowerCase().includes(subject.toLowerCase().replace(/#\d+$/, ""));
    const note = inPrompt ? "phrase" : "not in the prompt";
    return this.chip(subject, subject, element("span", { className: "position", textContent: note }));
  }

  chip(subject, label, note) {
    const chip = element(
      "button",
      { type: "button", className: "chip", "aria-pressed": this.pressed(subject), onclick: () => this.toggle(subject) },
      element("span", { textContent: label }),
      note,
    );
    chip.dataset.subject = subject;
    return chip;
  }

  pressed(subject) {
    const { subjects, token_indices: positions } = this.chosen;
    if (subjects) return subjects.includes(subject);
    const word = this.words.find((each) => each.subject === subject);
    return positions ? word.positions.some((position) => positions.includes(position)) : word.automatic;
  }

  toggle(subject) {
    const others = (this.chosen.subjects ?? []).filter((each) => !this.words.some((word) => word.subject === each));
    const pressed = [...this.words.map((word) => word.subject), ...others].filter((each) => this.pressed(each));
    const subjects = pressed.includes(subject) ? pressed.filter((each) => each !== subject) : [...pressed, subject];
    this.choose({ subjects: this.inOrder(subjects) });
  }

  /// Subjects in the order of the prompt, as the automatic choice has them.
  inOrder(subjects) {
    const place = (subject) => {
      const index = this.words.findIndex((word) => word.subject === subject);
      return index < 0 ? this.words.length : index;
    };
    return subjects.toSorted((a, b) => place(a) - place(b));
  }
}
