/** What the page says when there is no item to work on. */

import { html } from "../vendor/preact-htm.js";

export function Nothing({ nothing, error, receipt, again, reopen }) {
  return html`<div class="nothing">
    ${receipt && html`<p class="notice good">Submitted. ${receipt.message} <button type="button" class="small-button" onClick=${() => reopen(receipt.annotation_id)}>Reopen</button></p>`}
    <h2>${title(nothing, error)}</h2>
    <p>${error ?? explanation(nothing)}</p>
    <div class="buttons"><button type="button" class="primary" onClick=${again}>Look again</button><a class="button" href="/mine">My work</a></div>
  </div>`;
}

function title(nothing, error) {
  if (error) return "This did not work";
  if (nothing.training_failed) return "Training is not passed yet";
  return nothing.finished ? "All done" : "Nothing to do right now";
}

function explanation(nothing) {
  if (nothing.training_failed) return "Please ask the project's manager how to go on.";
  if (nothing.finished) return "You have worked on every item of this project. Thank you.";
  if (!nothing.leased_elsewhere) return "There are no open items for you.";
  const count = nothing.leased_elsewhere === 1 ? "One item is" : `${nothing.leased_elsewhere} items are`;
  const until = nothing.next_free_at ? ` The next may come free at ${new Date(nothing.next_free_at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })}.` : "";
  return `${count} with other people at the moment.${until}`;
}
