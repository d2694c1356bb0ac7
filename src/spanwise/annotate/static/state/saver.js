/**
 * Saves a draft as it is written: first on this device, then on the server, and says which of the two has it.
 *
 * It says "saved" only for a revision that the server acknowledged. A save whose answer was lost is sent again as it
 * was, under its own id, before anything newer: so the server knows it again, and its own work is never taken for that
 * of another tab. A draft that another tab did overtake is a conflict, which the person decides; until then all is kept
 * on this device. Knows nothing of annotations.
 */

import { t } from "../messages.js";
import { newId } from "./ids.js";

const DELAY = 800;
const LONGEST_WAIT = 30_000;

export class Saver {
  /**
   * @param {object} parts
   * @param {(save: {save_id: string, base_rev: number, document: any}, keepalive: boolean) => Promise<{rev: number}>} parts.send
   * @param {{put: Function, remove: Function}} parts.mirror
   * @param {string} parts.key @param {number} parts.rev
   * @param {(state: {kind: string, [more: string]: any}) => void} parts.onState
   */
  constructor({ send, mirror, key, rev, onState }) {
    Object.assign(this, { send, mirror, key, rev, onState });
    /** What is to be saved next. @type {{save_id: string, document: any} | null} */
    this.next = null;
    /** The save that was sent last and has no answer yet. @type {{save_id: string, base_rev: number, document: any} | null} */
    this.sent = null;
    this.busy = null;
    this.tries = 0;
    this.timer = 0;
    this.stopped = false;
    this.disputed = false;
  }

  get pending() {
    return Boolean(this.next || this.sent);
  }

  /** Keeps `document` and saves it soon. */
  change(document) {
    this.next = { save_id: newId(), document };
    if (!this.disputed) this.onState({ kind: "saving" });
    this.#keep();
    this.#schedule(DELAY);
  }

  /** Goes on with what this device kept, on its own revision: a save that arrived after all is known by its id. */
  restore({ rev, next, sent }) {
    Object.assign(this, { rev, next: next ?? null, sent: sent ?? null });
    this.onState({ kind: "saving" });
    this.#schedule(DELAY);
  }

  #keep() {
    const { rev, next, sent } = this;
    this.mirror.put(this.key, { rev, next, sent, at: new Date().toISOString() }).then(
      () => (this.kept = true),
      () => (this.kept = false),
    );
  }

  #schedule(delay) {
    clearTimeout(this.timer);
    if (!this.stopped && !this.disputed) this.timer = setTimeout(() => this.flush(), delay);
  }

  /** Saves now; true when the server has what was last changed, false when it does not. */
  async flush({ keepalive = false } = {}) {
    clearTimeout(this.timer);
    while (this.pending && !this.stopped && !this.disputed) {
      this.busy ??= this.#save(keepalive).finally(() => (this.busy = null));
      if (!(await this.busy)) return false;
    }
    return !this.pending;
  }

  async #save(keepalive) {
    if (!this.sent) {
      this.sent = { ...this.next, base_rev: this.rev };
      this.next = null;
      this.#keep();
    }
    try {
      const answer = await this.send(this.sent, keepalive);
      this.sent = null;
      this.rev = answer.rev;
      this.tries = 0;
      if (this.next) this.#keep();
      else {
        await this.mirror.remove(this.key).catch(() => {});
        if (!this.next) this.onState({ kind: "saved", answer }); // what came meanwhile is not
      }
      return true;
    } catch (error) {
      this.#failed(error);
      return false;
    }
  }

  #failed(error) {
    const { status } = error;
    if (status === 409 && error.body?.current) return this.#dispute(error);
    if (status === 401) return this.onState({ kind: "offline", kept: this.kept !== false, detail: t("You are logged out.") });
    if (status && status < 500 && status !== 429) {
      this.#unsend(); // the server has not taken it, and will not
      return this.onState({ kind: "refused", detail: error.detail });
    }
    this.tries += 1;
    this.onState({ kind: "offline", kept: this.kept !== false, detail: status ? error.detail : "" });
    this.#schedule(Math.min(LONGEST_WAIT, 1000 * 2 ** Math.min(this.tries - 1, 5)));
  }

  #dispute(error) {
    this.#unsend();
    this.disputed = true;
    this.onState({ kind: "conflict", detail: error.detail, theirs: error.body });
  }

  /** What was sent and not taken waits again, unless something newer does. */
  #unsend() {
    const { save_id, document } = this.sent;
    this.next ??= { save_id, document };
    this.sent = null;
    this.#keep();
  }

  /** The connection is back, or somebody has logged in: do not wait for the next try. */
  retry() {
    if (this.pending) this.#schedule(0);
  }

  /** Goes on after a conflict from the revision that the server has, with what is here. */
  resume(rev) {
    this.rev = rev;
    this.disputed = false;
    if (this.next) this.next = { ...this.next, save_id: newId() };
    this.onState({ kind: "saving" });
    this.#schedule(0);
  }

  /** Goes on after a conflict with what the server has; what was kept here was given up. */
  take(rev) {
    Object.assign(this, { rev, disputed: false, next: null, sent: null });
    this.mirror.remove(this.key).catch(() => {});
    this.onState({ kind: "saved" });
  }

  /** No more saving: the item was submitted or given back. */
  stop() {
    this.stopped = true;
    clearTimeout(this.timer);
  }
}
