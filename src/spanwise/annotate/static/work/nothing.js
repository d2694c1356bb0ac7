/** What the page says when there is no item to work on. */

import { t } from "../messages.js";
import { html } from "../vendor/preact-htm.js";

export function Nothing({ nothing, error, receipt, again, reopen }) {
  return html`<div class="nothing">
    ${receipt && html`<p class="notice good">${t("Submitted.")} ${t(receipt.message)} <button type="button" class="small-button" onClick=${() => reopen(receipt.annotation_id)}>${t("Reopen")}</button></p>`}
    <h2>${title(nothing, error)}</h2>
    <p>${error ?? explanation(nothing)}</p>
    <div class="buttons"><button type="button" class="primary" onClick=${again}>${t("Look again")}</button><a class="button" href="/mine">${t("My work")}</a></div>
  </div>`;
}

function title(nothing, error) {
  if (error) return t("This did not work");
  if (nothing.training_failed) return t("Training is not passed yet");
  return nothing.finished ? t("All done") : t("Nothing to do right now");
}

function explanation(nothing) {
  if (nothing.training_failed) return t("Please ask the project's manager how to go on.");
  if (nothing.finished) return t("You have worked on every item of this project. Thank you.");
  if (!nothing.leased_elsewhere) return t("There are no open items for you.");
  const count = nothing.leased_elsewhere;
  const away = count === 1 ? t("One item is with other people at the moment.") : t("{count} items are with other people at the moment.", { count });
  if (!nothing.next_free_at) return away;
  const time = new Date(nothing.next_free_at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  return `${away} ${t("The next may come free at {time}.", { time })}`;
}
