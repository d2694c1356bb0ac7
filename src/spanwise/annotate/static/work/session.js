/**
 * One item at work: its draft saver, its lease, its submission. Knows the server's routes; draws nothing.
 */

import { api } from "../api.js";
import { mirror } from "../state/mirror.js";
import { Saver } from "../state/saver.js";
import { newId, toBody } from "../state/wire.js";

const HEARTBEAT = 60_000;
const IDLE = 60_000;

export class Session {
  /** @param {import("./store.js").Store} store @param {string} user */
  constructor(store, user) {
    this.store = store;
    const { claim, item } = store;
    this.path = `/api/v1/items/${encodeURIComponent(claim.item_id)}`;
    this.key = `${user}/${claim.item_id}/${claim.round}`;
    this.lease = { round: claim.round, lease_token: claim.lease_token };
    this.submissionId = newId();
    this.active = { total: 0, last: 0 };
    this.saver = new Saver({
      mirror, key: this.key, rev: claim.draft?.rev ?? 0,
      send: (document, rev, keepalive) =>
        api("PUT", `${this.path}/draft`, { ...this.lease, base_rev: rev, document }, { keepalive }),
      onState: (save) => store.show(save.answer ? { save, lease: save.answer.lease_expires_at ?? store.ui.lease, lost: save.answer.lease === "taken" } : { save }),
    });
    this.changed = (changed) => changed && this.saver.change(store.draft(toBody(store.doc, item, store.project)));
  }

  /** Brings back what this device kept and the server never got; true when there was something. */
  async restore() {
    const kept = await mirror.get(this.key).catch(() => null);
    if (!kept) return false;
    // On its own revision: a save that arrived while the page closed is acknowledged again, any other is a conflict.
    if (this.store.claim.draft) this.saver.rev = kept.rev;
    this.store.replace(kept.body);
    this.saver.change(kept.body);
    return true;
  }

  start() {
    this.store.listeners.add(this.changed);
    this.stops = [
      on(window, "online", () => this.saver.retry()),
      on(document, "visibilitychange", () => document.visibilityState === "hidden" && this.saver.flush({ keepalive: true })),
      on(window, "pagehide", () => this.saver.flush({ keepalive: true })),
      on(document, "keydown", () => this.#alive()),
      on(document, "pointerdown", () => this.#alive()),
    ];
    this.beat = setInterval(() => this.renew(), HEARTBEAT);
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

  #alive() {
    const now = Date.now();
    if (this.active.last) this.active.total += Math.min(now - this.active.last, IDLE);
    this.active.last = now;
  }

  async renew() {
    if (document.visibilityState === "hidden") return;
    try {
      const answer = await api("POST", `${this.path}/lease`, this.lease);
      this.store.show({ lease: answer.lease_expires_at, lost: false });
    } catch (error) {
      if (error.status === 409) this.store.show({ lost: true });
    }
  }

  /** Submits; the id makes a repeated submission the same one. */
  async submit() {
    await this.saver.flush();
    const body = toBody(this.store.doc, this.store.item, this.store.project);
    const submission = { ...this.lease, client_submission_id: this.submissionId, body, active_ms: Math.round(this.active.total) };
    const receipt = await api("POST", `${this.path}/submissions`, submission);
    await this.#over();
    return receipt;
  }

  async skip(reason) {
    await api("POST", `${this.path}/skip`, { ...this.lease, reason });
    await this.#over();
  }

  async #over() {
    this.saver.stop();
    await mirror.remove(this.key).catch(() => {});
    this.stop();
  }

  stop() {
    this.store.listeners.delete(this.changed);
    clearInterval(this.beat);
    this.channel?.close();
    this.stops?.forEach((stop) => stop());
  }
}

function on(target, name, listener) {
  target.addEventListener(name, listener);
  return () => target.removeEventListener(name, listener);
}
