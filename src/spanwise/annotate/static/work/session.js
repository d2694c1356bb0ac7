/** One item that was lent: its draft, its lease, its submission. Knows the server's routes; draws nothing. */

import { api, persistently } from "../api.js";
import { newId } from "../state/ids.js";
import { toBody } from "../state/wire.js";
import { Drafting, on } from "./drafting.js";

const HEARTBEAT = 60_000;
const IDLE = 60_000;

export class Session extends Drafting {
  /** @param {import("./store.js").Store} store @param {string} user */
  constructor(store, user) {
    const { claim, item, project } = store;
    const path = `/api/v1/items/${encodeURIComponent(claim.item_id)}`;
    const lease = { round: claim.round, lease_token: claim.lease_token };
    super(store, {
      key: `${user}/${claim.item_id}/${claim.round}`, path: `${path}/draft`, fields: lease, draft: claim.draft,
      bodyOf: () => toBody(store.doc, item, project),
    });
    Object.assign(this, { path, lease });
    this.submissionId = newId();
    this.active = { total: 0, last: 0 };
  }

  told(save) {
    const { answer } = save;
    this.store.show(answer ? { save, lease: answer.lease_expires_at ?? this.store.ui.lease, lost: answer.lease === "taken" } : { save });
  }

  start() {
    super.start();
    this.stops.push(on(document, "keydown", () => this.#alive()), on(document, "pointerdown", () => this.#alive()));
    this.beat = setInterval(() => this.renew(), HEARTBEAT);
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
    await this.settled();
    const submission = { ...this.lease, client_submission_id: this.submissionId, body: this.bodyOf(), active_ms: Math.round(this.active.total) };
    const receipt = await persistently(() => api("POST", `${this.path}/submissions`, submission));
    await this.over();
    return receipt;
  }

  async skip(reason) {
    await api("POST", `${this.path}/skip`, { ...this.lease, reason });
    await this.over();
  }

  stop() {
    super.stop();
    clearInterval(this.beat);
  }
}
