/** The bottom bar: what is saved, until when the item is ours, and the ways on. */

import { hint } from "../keys.js";
import { t } from "../messages.js";
import { html } from "../vendor/preact-htm.js";

const SAVED = {
  idle: "", saving: t("Saving…"), saved: t("Saved"), refused: t("Not saved"), conflict: t("Changed in another tab"),
};

export function Bar({ store, actions }) {
  const { ui } = store;
  const marking = store.project.tasks.includes("spans") && ui.tab === "mark";
  return html`<footer class="bar">
    <span class="save ${ui.save.kind}" data-save=${ui.save.kind} role="status">${saveText(ui.save)}</span>
    <span class="muted lease" title=${t("The item is yours until then; every saved change makes it longer.")}>${leaseText(ui.lease)}</span>
    <span class="grow"></span>
    <button type="button" class="quiet" disabled=${!store.canUndo} title=${hint("undo")} onClick=${actions.undo}>${t("Undo")}</button>
    <button type="button" class="quiet" disabled=${!store.canRedo} title=${hint("redo")} onClick=${actions.redo}>${t("Redo")}</button>
    <button type="button" class="quiet" title=${hint("sheet")} onClick=${actions.sheet}>${t("Keys")} <kbd>?</kbd></button>
    <button type="button" class="quiet" title=${hint("guidelines")} onClick=${actions.guidelines}>${t("Guidelines")} <kbd>G</kbd></button>
    <button type="button" class="quiet" title=${hint("ask")} onClick=${actions.ask}>${t("Ask")} <kbd>Q</kbd></button>
    ${store.claim.can_suggest && html`<button type="button" class="quiet" title=${hint("suggestions")} onClick=${actions.suggestions}>${t("Suggestions")} <kbd>P</kbd></button>`}
    <button type="button" class="quiet" title=${hint("skip")} onClick=${actions.skip}>${t("Skip")}</button>
    ${marking && html`<button type="button" class="plain" aria-pressed=${store.answer.no_errors} title=${hint("no_errors")} onClick=${actions.noErrors}>${t("No errors")} <kbd>0</kbd></button>`}
    <button type="button" class="primary" disabled=${ui.busy} title=${hint("submit")} onClick=${actions.submit}>${t("Submit")} <kbd>${hint("submit")}</kbd></button>
  </footer>`;
}

/** How saving stands, in words. */
export function saveText(save) {
  if (save.kind === "offline") return save.kept ? t("Offline – kept on this device") : t("Offline – not saved, keep this page open");
  if (save.kind === "refused") return t("Not saved: {reason}", { reason: save.detail || t("the server refused it") });
  return SAVED[save.kind] ?? "";
}

function leaseText(until) {
  if (!until) return "";
  const at = new Date(until);
  const clock = `${String(at.getHours()).padStart(2, "0")}:${String(at.getMinutes()).padStart(2, "0")}`;
  return at < new Date() ? t("Lease over – your work is kept") : t("Yours until {time}", { time: clock });
}
