// The words of the prompt as buttons: pressed ones are subjects.

import { ApiError, api } from "./api.js";
import { element } from "./dom.js";
import { rove } from "./rove.js";

const DELAY = 250;
/// More subjects than this pull at each other.
const SENSIBLE = 5;
/// Lines of words that a long prompt shows at first.
const LINES = 3;
/// Words that are quoted of what was cut.
const QUOTED = 5;

const at = (id) => document.getElementById(id);

export class Words {
  /// `onChange` is called when the user chose other subjects, `onPrompt` gets a prompt that shall come back,
  /// `onTokens` every answer of the server.
  constructor({ onChange, onPrompt, onTokens = () => {} }) {
    this.onTokens = onTokens;
    this.onChange = onChange;
    this.onPrompt = onPrompt;
    this.tokens = [];
    this.words = [];
    this.chosen = {};
    this.isGuided = true;
    at("subjects-automatic").addEventListener("click", () => {
      this.choose({});
      at("words").querySelector("button")?.focus();
    });
    at("subjects-undo").addEventListener("click", () => this.onPrompt(this.chosenFor));
    at("words-more").addEventListener("click", () => {
      this.isOpen = !this.isOpen;
      this.fold();
    });
    rove(at("words"));
  }

  /// The part of a request that names the subjects: nothing, `subjects` or `token_indices`. A subject that has left the
  /// prompt is not named.
  get choice() {
    const { subjects } = this.chosen;
    if (!subjects) return this.chosen;
    const present = subjects.filter((subject) => this.isPresent(subject));
    return present.length > 0 || subjects.length === 0 ? { subjects: present } : {};
  }

  set choice({ subjects, token_indices: positions }) {
    this.chosen = subjects ? { subjects } : positions ? { token_indices: positions } : {};
    this.chosenFor = at("prompt").value;
    this.draw();
  }

  /// What was chosen, with what the prompt has lost: it counts again when it comes back.
  get remembered() {
    return this.chosen;
  }

  /// Takes the subjects of a picture. Where they are those that would be chosen anyway, the choice stays automatic.
  fill(settings) {
    const isKnown = this.loaded?.prompt === settings.prompt;
    this.choice = settings;
    if (isKnown && this.isAutomatic) this.choice = {};
    this.mayBeAutomatic = this.chosen.subjects !== undefined;
    this.loaded = undefined;
  }

  get isEmpty() {
    return this.choice.subjects?.length === 0;
  }

  /// Whether nothing would be a subject: no word is chosen, and there is no noun to choose.
  get lacksSubject() {
    const { subjects, token_indices: positions } = this.choice;
    return this.loaded !== undefined && !subjects && !positions && !this.words.some(({ automatic }) => automatic);
  }

  isPresent(subject) {
    if (this.loaded === undefined || this.words.some((word) => word.subject === subject)) return true;
    return !/#\d+$/.test(subject) && this.isPhrase(subject);
  }

  /// Whether words stand in the prompt one after the other.
  isPhrase(subject) {
    const plain = (text) => ` ${text.toLowerCase().match(/[\p{L}\p{N}]+/gu)?.join(" ") ?? ""} `;
    return plain(this.words.map(({ text }) => text).join(" ")).includes(plain(subject));
  }

  choose(choice) {
    this.mayBeAutomatic = false;
    this.choice = choice;
    this.onChange();
  }

  /// Asks for the words again, after a pause in typing.
  refresh(request, isGuided) {
    this.isGuided = isGuided;
    this.request = request;
    clearTimeout(this.timer);
    // Nobody types yet when the page opens.
    this.timer = setTimeout(() => this.load(request), this.timer === undefined ? 0 : DELAY);
    this.describe();
  }

  /// Waits until the words are those of the prompt, without the pause.
  async settle() {
    if (this.request && this.loaded !== this.request) {
      clearTimeout(this.timer);
      await this.load(this.request);
    }
  }

  async load(request) {
    let answer = { tokens: [], words: [], truncation: null };
    let problem = "";
    let isKnown = true;
    try {
      if (request.prompt.trim()) answer = await api.tokens(request);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      problem = error.message;
      isKnown = false;
    }
    // The prompt has changed meanwhile; a newer answer is on its way.
    if (this.request !== request) return;
    const { truncation } = answer;
    if (truncation) {
      const { tokens, text } = truncation;
      problem = `The prompt is too long: its last ${tokens} tokens are left out, from “${opening(text)}” on.`;
    }
    at("words-warning").textContent = problem;
    at("words-warning").hidden = problem === "";
    this.tokens = answer.tokens;
    this.words = answer.words;
    this.onTokens(answer);
    this.loaded = isKnown ? request : undefined;
    if (this.mayBeAutomatic && this.isAutomatic) this.choose({});
    else this.draw();
    this.mayBeAutomatic = false;
  }

  /// Whether the chosen subjects are those that would be chosen anyway.
  get isAutomatic() {
    const automatic = this.words.filter((word) => word.automatic).map(({ subject }) => subject);
    return JSON.stringify(automatic) === JSON.stringify(this.chosen.subjects);
  }

  draw() {
    const isWord = (subject) => this.words.some((word) => word.subject === subject);
    const phrases = (this.choice.subjects ?? []).filter((subject) => !isWord(subject));
    const focused = document.activeElement?.closest("#words button")?.dataset.subject;
    at("words").replaceChildren(...this.wordChips(), ...phrases.map((subject) => this.phraseChip(subject)));
    this.fold();
    if (focused !== undefined)
      [...at("words").querySelectorAll("button")].find((chip) => chip.dataset.subject === focused)?.focus();
    this.describe();
  }

  /// Says who chose, and what is wrong with the choice.
  describe() {
    const { subjects, token_indices: positions } = this.choice;
    const gone = (this.chosen.subjects ?? []).filter((subject) => !this.isPresent(subject));
    const count = this.words.filter(({ subject }) => this.pressed(subject)).length;
    const notes = [];
    if (gone.length === 1) notes.push(`“${gone[0]}” left the prompt.`);
    else if (gone.length > 1) notes.push(`${gone.length} subjects left the prompt: ${gone.join(", ")}.`);
    if (positions) notes.push("Single token positions, as the settings say. Choosing a word replaces them.");
    else if (this.isEmpty) notes.push("No word is chosen. Choose at least one, or go back to automatic.");
    else if (subjects) notes.push("Your choice.");
    else if (this.words.length === 0) notes.push("");
    else if (!this.isGuided) notes.push("This method has no subjects; the words choose whose attention is shown.");
    else if (this.lacksSubject) notes.push("No subject found. Click the words that must appear.");
    else notes.push("Picked automatically. Click words to change them.");
    if (this.isGuided && count > SENSIBLE) notes.push(`${count} are many: two or three work best.`);
    at("words-note").textContent = notes.join(" ");
    at("subjects-undo").hidden = gone.length === 0 || this.chosenFor === undefined;
    at("subjects-automatic").hidden = !subjects && !positions;
  }

  /// Of a long prompt some lines are shown at first, and every word that is chosen by hand.
  fold() {
    const chips = [...at("words").children];
    for (const chip of chips) chip.hidden = false;
    const tops = [...new Set(chips.map(({ offsetTop }) => offsetTop))].toSorted((a, b) => a - b);
    const isLong = tops.length > LINES;
    at("words-more").hidden = !isLong;
    at("words-more").setAttribute("aria-expanded", this.isOpen === true);
    at("words-more").textContent = this.isOpen ? "Show fewer words" : `Show all ${this.words.length} words`;
    if (!isLong || this.isOpen) return;
    const own = this.chosen.subjects ?? [];
    const below = chips.filter((chip) => chip.offsetTop >= tops[LINES] && !own.includes(chip.dataset.subject));
    for (const chip of below) chip.hidden = true;
  }

  /// In the order of the tokens; punctuation belongs to no word and cannot be chosen.
  wordChips() {
    const chips = [];
    let last = null;
    for (const { index, text, kind, word } of this.tokens) {
      if (kind !== "text" || (word !== null && word === last)) continue;
      last = word;
      const place = word === null ? index : positionText(this.words[word].positions);
      const number = element("span", { className: "position", textContent: place, "aria-hidden": "true" });
      chips.push(
        word === null
          ? element("span", { className: "punctuation" }, text, number)
          : this.chip(this.words[word].subject, this.words[word].text, number),
      );
    }
    return chips;
  }

  phraseChip(subject) {
    return this.chip(subject, subject, element("span", { className: "position", textContent: "phrase" }));
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
    const { subjects, token_indices: positions } = this.choice;
    if (subjects) return subjects.includes(subject);
    const word = this.words.find((each) => each.subject === subject);
    return positions ? word.positions.some((position) => positions.includes(position)) : word.automatic;
  }

  toggle(subject) {
    const phrases = (this.choice.subjects ?? []).filter((each) => !this.words.some((word) => word.subject === each));
    const pressed = [...this.words.map((word) => word.subject), ...phrases].filter((each) => this.pressed(each));
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

/// A word of many tokens has its first and last position.
function positionText(positions) {
  return positions.length > 2 ? `${positions[0]}–${positions.at(-1)}` : positions.join("+");
}

function opening(text) {
  const words = text.trim().split(/\s+/);
  return words.length > QUOTED ? `${words.slice(0, QUOTED).join(" ")} …` : text.trim();
}
