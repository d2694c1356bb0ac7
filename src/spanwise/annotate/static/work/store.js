/**
 * What the work page knows: the item, what was said about it (with its history), and the state of the page itself.
 *
 * Only what is said about the item is undone and saved; the page's state - tab, selection, mode - is not.
 */

import * as history from "../state/history.js";
import { emptyDocument, reduce as reduceAnswer } from "../state/document.js";
import { fromBody } from "../state/wire.js";
import { Offsets } from "../text/offsets.js";
import { Snapping } from "../text/units.js";

export class Store {
  /**
   * @param {any} project @param {any} item @param {any} claim
   * @param {{reduce?: (doc: any, action: any) => any, base?: any}} [parts] other actions, another document to begin with
   */
  constructor(project, item, claim, { reduce = reduceAnswer, base = null } = {}) {
    Object.assign(this, { project, item, claim, reduce, base });
    this.texts = item.responses.map((response) => {
      const offsets = new Offsets(response.text);
      return { offsets, snapping: new Snapping(offsets, response.segments), key: response.key };
    });
    this.history = this.#startOf(claim.draft?.document);
    this.ui = {
      tab: { spans: "mark", edit: "edit", preference: "compare" }[project.tasks[0]],
      response: 0, sel: null, current: null, sticky: null, mode: null, save: { kind: "idle" },
      lease: claim.lease_expires_at, dialog: null, problems: [], cautions: new Map(), seen: [], focus: null, suggested: null,
    };
    this.listeners = new Set();
  }

  get doc() {
    return this.history.state;
  }

  /** What was said about the response on screen. */
  get answer() {
    return this.doc.responses[this.ui.response];
  }

  get text() {
    return this.texts[this.ui.response];
  }

  get currentSpan() {
    return this.answer.spans.find((span) => span.id === this.ui.current) ?? null;
  }

  category(name) {
    return this.project.categories.find((category) => category.name === name) ?? { name, label: name, needs: "none" };
  }

  categories(kind) {
    return this.project.categories.filter((category) => category.kind === kind);
  }

  /** Changes what is said about the item; not while it is being submitted, since that would be lost. */
  act(action) {
    this.#set(history.apply(this.history, { response: this.ui.response, ...action }));
  }

  undo() {
    this.#set(history.undo(this.history));
  }

  redo() {
    this.#set(history.redo(this.history));
  }

  get canUndo() {
    return history.canUndo(this.history);
  }

  get canRedo() {
    return history.canRedo(this.history);
  }

  #set(next) {
    if (next === this.history || this.ui.busy) return;
    this.history = next;
    this.ui = { ...this.ui, problems: [] };
    this.#tell(true);
  }

  /** Changes the page's state. */
  show(patch) {
    this.ui = { ...this.ui, ...patch };
    this.#tell(false);
  }

  /** Replaces what was said, e.g. by the draft of another tab. */
  replace(document) {
    this.history = this.#startOf(document);
    this.#tell(false);
  }

  #tell(changed) {
    for (const listener of this.listeners) listener(changed);
  }

  /** What goes into the draft. */
  draft(body) {
    return { body, log: [history.stored(this.history)] };
  }

  #startOf(document) {
    const kept = document?.log?.[0];
    if (kept?.base?.responses?.length === this.item.responses.length) return history.restored(this.reduce, kept);
    const said = document?.body ? fromBody(document.body, this.item) : emptyDocument(this.item.responses.length);
    return history.begin(this.reduce, this.base ?? said);
  }
}
