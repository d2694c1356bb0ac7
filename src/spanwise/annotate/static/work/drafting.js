/**
 * The draft of one item at work: kept on this device and on the server while the page is open, brought back afterwards,
 * and told of other tabs. Draws nothing.
 */

import { LOGGED_IN, api } from "../api.js";
import { mirror } from "../state/mirror.js";
import { Saver } from "../state/saver.js";

/** How long a submission waits for the draft before it; the submission holds everything that the draft does. */
const DRAFT_FIRST = 3000;

export class Drafting {
  /**
   * @param {import("./store.js").Store} store
   * @param {{key: string, path: string, fields?: object, draft: {rev: number} | null, bodyOf: () => any}} parts
   * `path` takes the draft with these `fields` beside it; `bodyOf` makes the body that the draft shows to others.
   */
  constructor(store, { key, path, fields = {}, draft, bodyOf }) {
    Object.assign(this, { store, key, draft, bodyOf });
    this.saver = new Saver({
      mirror, key, rev: draft?.rev ?? 0,
      send: (save, keepalive) => api("PUT", path, { ...fields, ...save }, { keepalive }),
      onState: (save) => this.told(save),
    });
    this.changed = (changed) => changed && this.saver.change(store.draft(bodyOf()));
  }

  /** Shows how saving stands. */
  told(save) {
    this.store.show({ save });
  }

  /** Brings back what this device kept and the server never got; true when there was something. */
  async restore() {
    const kept = await mirror.get(this.key).catch(() => null);
    const document = (kept?.next ?? kept?.sent)?.document;
    if (!document) return false;
    this.store.replace(document);
    this.saver.restore(this.draft ? kept : { rev: 0, next: kept.next ?? kept.sent });
    return true;
  }

  start() {
    this.store.listeners.add(this.changed);
    this.stops = [
      on(window, "online", () => this.saver.retry()),
      on(window, LOGGED_IN, () => this.saver.retry()),
      on(document, "visibilitychange", () => document.visibilityState === "hidden" && this.saver.flush({ keepalive: true })),
      on(window, "pagehide", () => this.saver.flush({ keepalive: true })),
    ];
    this.#otherTabs();
  }

  /** Another tab with the same item is worth a word: the later one to save will be asked. */
  #otherTabs() {
    this.channel = new BroadcastChannel("spanwise-items");
    this.channel.onmessage = ({ data }) => {
      if (data.key !== this.key) return;
      this.store.show({ twice: true });
      if (data.kind === "opened") this.channel.postMessage({ kind: "here", key: this.key });
    };
    this.channel.postMessage({ kind: "opened", key: this.key });
  }

  /** After a conflict: what is here goes on, what is there stays at hand on this page. */
  keepMine(theirs) {
    this.store.show({ other: theirs });
    this.saver.resume(theirs.rev);
    this.changed(true);
  }

  /** After a conflict, or after one decided otherwise: what is there takes the place of what is here. */
  takeTheirs(theirs) {
    const mine = { document: this.store.draft(this.bodyOf()), updated_at: new Date().toISOString() };
    this.store.replace(theirs.document);
    this.store.show({ other: mine });
    if (this.saver.disputed) this.saver.take(theirs.rev);
    else this.changed(true);
  }

  /** Waits for the last save, but not for long. */
  async settled() {
    await Promise.race([this.saver.flush(), new Promise((resolve) => setTimeout(resolve, DRAFT_FIRST))]);
  }

  /** The work is done: nothing of it is kept on this device any more. */
  async over() {
    this.saver.stop();
    await mirror.remove(this.key).catch(() => {});
    this.stop();
  }

  stop() {
    this.store.listeners.delete(this.changed);
    this.channel?.close();
    this.stops?.forEach((stop) => stop());
  }
}

export function on(target, name, listener) {
  target.addEventListener(name, listener);
  return () => target.removeEventListener(name, listener);
}
