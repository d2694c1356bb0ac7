/** Dialogs and notices of the work page. */

import { t } from "../messages.js";
import { Dialog } from "../ui/dialog.js";
import { html, useState } from "../vendor/preact-htm.js";
import { Ask } from "./ask.js";
import { shortened } from "./mark.js";

export function Dialogs({ store, actions, guidelines }) {
  const { ui } = store;
  const close = () => store.show({ dialog: null });
  if (ui.dialog === "skip") return html`<${Skip} skip=${actions.skipped} close=${close} />`;
  if (ui.dialog === "ask") return html`<${Ask} store=${store} close=${close} />`;
  if (ui.dialog === "guidelines") {
    return html`<${Dialog} title=${t("Guidelines")} onClose=${close} wide><${Guidelines} blocks=${guidelines.blocks} /><p class="muted small">${t("Version {number}", { number: guidelines.version })}</p><//>`;
  }
  if (ui.dialog === "clear") {
    return html`<${Dialog} title=${t("There are marks")} onClose=${close}>
      <p>${t("A response with marks cannot be free of errors.")}</p>
      <div class="buttons"><button type="button" class="primary" onClick=${actions.clearAll}>${t("Remove all marks, no errors")}</button><button type="button" onClick=${close}>${t("Keep the marks")}</button></div>
      <p class="muted small">${t("This can be undone.")}</p><//>`;
  }
  if (ui.save.kind === "conflict") return html`<${Conflict} store=${store} actions=${actions} />`;
  if (ui.dialog === "lesson") return html`<${Lesson} store=${store} actions=${actions} />`;
  return null;
}

/** Headings, paragraphs and lists that the server made of the guidelines' Markdown; text only. */
export function Guidelines({ blocks }) {
  const inline = (parts) => parts.map(({ style, text }) => (style === "strong" ? html`<strong>${text}</strong>` : style === "em" ? html`<em>${text}</em>` : style === "code" ? html`<code>${text}</code>` : text));
  return html`<div class="prose">${blocks.map((block) => {
    if (block.kind === "heading") return html`<h3>${inline(block.parts)}</h3>`;
    if (block.kind === "list") {
      const rows = block.items.map((parts) => html`<li>${inline(parts)}</li>`);
      return block.ordered ? html`<ol>${rows}</ol>` : html`<ul>${rows}</ul>`;
    }
    return html`<p>${inline(block.parts)}</p>`;
  })}</div>`;
}

function Skip({ skip, close }) {
  const [reason, setReason] = useState("");
  const [error, setError] = useState("");
  const send = (event) => {
    event.preventDefault();
    skip(reason).catch((problem) => setError(problem.detail || problem.message));
  };
  return html`<${Dialog} title=${t("Skip this item")} onClose=${close}>
    <form onSubmit=${send}>
      <label>${t("Why?")} <input required maxlength="500" value=${reason} autofocus onInput=${(event) => setReason(event.target.value)} placeholder=${t("For example: not in my language")} /></label>
      ${error && html`<p class="caution">${error}</p>`}
      <div class="buttons"><button class="primary">${t("Skip")}</button><button type="button" onClick=${close}>${t("Stay")}</button></div>
    </form><//>`;
}

function Conflict({ store, actions }) {
  const theirs = store.ui.save.theirs?.current;
  if (!theirs) return null;
  return html`<${Dialog} title=${t("Two versions of this draft")} onClose=${() => actions.keepMine(theirs)}>
    <p>${t("Another tab or device saved this item meanwhile. Choose which version goes on; the other stays at hand until you submit.")}</p>
    <dl class="versions">
      <div><dt>${t("Here")}</dt><dd>${summary({ spans: store.doc.responses.flatMap((one) => one.spans) })}</dd></div>
      <div><dt>${t("There")}</dt><dd>${summary(theirs.document?.body ?? {})} <span class="muted">${t("saved {time}", { time: new Date(theirs.updated_at).toLocaleTimeString() })}</span></dd></div>
    </dl>
    <div class="buttons"><button type="button" class="primary" onClick=${() => actions.keepMine(theirs)}>${t("Keep mine")}</button><button type="button" onClick=${() => actions.takeTheirs(theirs)}>${t("Take the other")}</button></div><//>`;
}

function summary(body) {
  const spans = body.spans ?? [];
  const more = [body.corrections?.length && t("an edit"), body.preferences?.length && t("{count} comparisons", { count: body.preferences.length })].filter(Boolean);
  return [t("{count} spans", { count: spans.length }), ...more].join(", ");
}

function Lesson({ store, actions }) {
  const { lesson } = store.ui.receipt;
  const go = () => actions.next();
  return html`<${Dialog} title=${t("Training item: {score} %", { score: Math.round(lesson.score * 100) })} onClose=${go}>
    <p>${t("This is what was expected:")}</p>
    <ul class="lesson">${lesson.expected.spans.map((span) => html`<li><span class="chip" style=${{ "--colour": store.category(span.category).colour }}>${store.category(span.category).label}</span> <q dir="auto">${shortened(span.quote, 120)}</q></li>`)}
      ${!lesson.expected.spans.length && html`<li>${t("No spans.")}</li>`}</ul>
    ${lesson.remarks.length > 0 && html`<ul>${lesson.remarks.map((remark) => html`<li>${remark}</li>`)}</ul>`}
    <div class="buttons"><button type="button" class="primary" autofocus onClick=${go}>${t("Next item")}</button></div><//>`;
}

/** What needs attention, above the work. */
export function Notices({ store, actions, openTab }) {
  const { ui } = store;
  return html`<div class="notices">
    ${ui.lost && html`<p class="notice warn">${t("The lease is over and someone else has this item. Go on: your work is stored as an extra annotation.")}</p>`}
    ${ui.save.kind === "offline" && html`<p class="notice warn" role="alert">${ui.save.detail || t("The connection to the server is lost.")} ${t("What you do is kept on this device and sent when it is back.")}</p>`}
    ${ui.other && html`<p class="notice">${t("Another version of this draft is at hand: {summary}, saved {time}.", { summary: summary(ui.other.document?.body ?? {}), time: new Date(ui.other.updated_at).toLocaleTimeString() })} <button type="button" class="small-button" onClick=${() => actions.takeTheirs(ui.other)}>${t("Take it")}</button></p>`}
    ${ui.twice && html`<p class="notice">${t("This item is open in another tab too. Work in one of them.")}</p>`}
    ${ui.message && html`<p class="notice" role="status">${ui.message}</p>`}
    ${ui.receipt && !ui.receipt.lesson && html`<p class="notice good">${t("Submitted.")} ${t(ui.receipt.message)} <button type="button" class="small-button" onClick=${() => actions.reopen(ui.receipt.annotation_id)}>${t("Reopen")}</button></p>`}
    ${ui.problems.length > 0 && html`<div class="notice bad" role="alert" data-problems><strong>${t("Not submitted yet.")}</strong>
      <ul>${ui.problems.slice(0, 8).map((problem) => html`<li>${problem.server ? `${problem.place}: ` : ""}${problem.reason} ${problem.tab && problem.tab !== ui.tab && html`<button type="button" class="small-button" onClick=${() => openTab(problem.tab)}>${t("Go there")}</button>`}</li>`)}</ul></div>`}
  </div>`;
}
