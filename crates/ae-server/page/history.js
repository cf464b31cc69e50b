// The prompts that were drawn before: with the arrow up in the prompt, or from a list.

import { menu } from "./menu.js";
import { load, save } from "./store.js";

const MOST = 50;
const LISTED = 12;
const SHOWN = 60;

const at = (id) => document.getElementById(id);

export class History {
  /// `onChange` is called when a prompt was taken from the history.
  constructor(onChange) {
    this.onChange = onChange;
    this.prompts = load("prompts", []);
    /// Place in the history, from the newest; -1 is what is being written.
    this.place = -1;
    at("prompt").addEventListener("keydown", (event) => this.move(event));
    at("prompt").addEventListener("input", () => {
      this.place = -1;
    });
    this.menu = menu("Recent", () =>
      this.prompts.slice(0, LISTED).map((prompt) => ({
        label: prompt.length > SHOWN ? `${prompt.slice(0, SHOWN)}…` : prompt,
        title: prompt,
        act: () => {
          this.show(prompt);
          at("prompt").focus();
        },
      })),
    );
    at("prompt-tools").append(this.menu);
    this.menu.hidden = this.prompts.length === 0;
  }

  add(prompt) {
    this.prompts = [prompt, ...this.prompts.filter((each) => each !== prompt)].slice(0, MOST);
    this.place = -1;
    this.menu.hidden = false;
    save("prompts", this.prompts);
  }

  /// Up goes back from the first place of the text, down forth from its last, so that arrows still move in a text of several
  /// lines.
  move(event) {
    const { value, selectionStart, selectionEnd } = at("prompt");
    const isPlain =
      !event.altKey && !event.ctrlKey && !event.metaKey && !event.shiftKey && selectionStart === selectionEnd;
    const back = event.key === "ArrowUp" && selectionStart === 0;
    const forth = event.key === "ArrowDown" && selectionEnd === value.length && this.place >= 0;
    if (!isPlain || !(back || forth)) return;
    const place = this.place + (back ? 1 : -1);
    if (place >= this.prompts.length) return;
    event.preventDefault();
    if (this.place < 0) this.draft = value;
    // What is written right now need not be shown twice.
    const next = back && this.place < 0 && this.prompts[0] === value ? 1 : place;
    if (next >= this.prompts.length) return;
    this.show(next < 0 ? this.draft : this.prompts[next]);
    this.place = next;
    const caret = back ? 0 : at("prompt").value.length;
    at("prompt").setSelectionRange(caret, caret);
  }

  show(prompt) {
    at("prompt").value = prompt;
    this.onChange();
  }
}
