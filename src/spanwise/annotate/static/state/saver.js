/**
 * Saves a draft as it is written: first on this device, then on the server, and says which of the two has it.
 *
 * It says "saved" only for a revision that the server acknowledged. A lost connection is tried again until it is back;
 * a draft that another tab has overtaken is a conflict, which the person decides. Knows nothing of annotations.
 */

const DELAY = 800;
const LONGEST_WAIT = 30_000;

export class Saver {
  /**
   * @param {object} parts
   * @param {(body: any, rev: number, keepalive: boolean) => Promise<{rev: number}>} parts.send
   * @param {{put: Function, remove: Function}} parts.mirror
   * @param {string} parts.key @param {number} parts.rev
   * @param {(state: {kind: string, [more: string]: any}) => void} parts.onState
   */
  constructor({ send, mirror, key, rev, onState }) {
    Object.assign(this, { send, mirror, key, rev, onState });
    this.body = null;
    this.pending = false;
    this.busy = null;
    this.tries = 0;
    this.timer = 0;
    this.stopped = false;
  }

  /** Keeps `body` and saves it soon. */
  change(body) {
    this.body = body;
    this.pending = true;
    this.onState({ kind: "saving" });
    this.#keep();
    this.#schedule(DELAY);
  }

  #keep() {
    this.mirror.put(this.key, { rev: this.rev, body: this.body, at: new Date().toISOString() }).then(
      () => (this.kept = true),
      () => (this.kept = false),
    );
  }

  #schedule(delay) {
    clearTimeout(this.timer);
    if (!this.stopped) this.timer = setTimeout(() => this.flush(), delay);
  }

  /** Saves now; resolves when the server has what was last changed, or when it cannot be reached. */
  async flush({ keepalive = false } = {}) {
    clearTimeout(this.timer);
    if (this.busy) await this.busy;
    if (!this.pending || this.stopped) return !this.pending;
    this.busy = this.#save(keepalive);
    try {
      return await this.busy;
    } finally {
      this.busy = null;
    }
  }

  async #save(keepalive) {
    const body = this.body;
    this.pending = false;
    try {
      const answer = await this.send(body, this.rev, keepalive);
      this.rev = answer.rev;
      this.tries = 0;
      if (!this.pending) await this.mirror.remove(this.key).catch(() => {});
      if (!this.pending) this.onState({ kind: "saved", answer }); // what came meanwhile is not
      return true;
    } catch (error) {
      this.pending = true;
      this.#failed(error);
      return false;
    }
  }

  #failed(error) {
    if (error.status === 409) {
      this.stopped = true;
      this.onState({ kind: "conflict", detail: error.detail, theirs: error.body });
      return;
    }
    if (error.status && error.status < 500 && error.status !== 429) {
      this.onState({ kind: "refused", detail: error.detail });
      return;
    }
    this.tries += 1;
    this.onState({ kind: "offline", kept: this.kept !== false, detail: error.status ? error.detail : "" });
    this.#schedule(Math.min(LONGEST_WAIT, 1000 * 2 ** Math.min(this.tries - 1, 5)));
  }

  /** The connection is back: do not wait for the next try. */
  retry() {
    if (this.pending) this.#schedule(0);
  }

  /** Goes on after a conflict from the revision that the server has. */
  resume(rev) {
    this.rev = rev;
    this.stopped = false;
    this.pending = true;
    this.#schedule(0);
  }

  /** Goes on after a conflict with what the server has; what was kept here was given up. */
  take(rev) {
    this.rev = rev;
    this.stopped = false;
    this.pending = false;
    this.mirror.remove(this.key).catch(() => {});
  }

  /** No more saving: the item was submitted or given back. */
  stop() {
    this.stopped = true;
    clearTimeout(this.timer);
  }
}
