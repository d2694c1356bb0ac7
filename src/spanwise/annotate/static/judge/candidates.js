/** The marks to decide, one row each, and everything that is known of the one in view. */

import { t } from "../messages.js";
import { visible } from "../text/invisible.js";
import { kept } from "../ui/kept.js";
import { html } from "../vendor/preact-htm.js";
import { spokenPlace } from "../work/evidence.js";
import { shortened } from "../work/mark.js";
import { cited, proofsOf, wordsOf } from "./commands.js";

export function Candidates({ store, candidates, judge }) {
  if (!candidates.length) return html`<p class="muted">${t("Nobody marked anything.")}</p>`;
  const { decisions } = store.doc;
  return html`<ol class="candidates" id="candidates" data-pane tabindex="0" aria-label=${t("Marks to decide")}>
    ${candidates.map((one, index) => html`<${Candidate} key=${one.key} store=${store} one=${one} index=${index} judge=${judge} current=${index === store.ui.candidate} verdict=${decisions[one.key] ?? null} />`)}</ol>`;
}

const SIGNS = { accepted: "✓", rejected: "✕" };

const Candidate = kept(({ store, one, index, judge, current, verdict }) => {
  const category = store.category(one.said.category);
  const decide = (name) => (event) => {
    event.stopPropagation();
    judge.decide(name, index);
  };
  const several = store.item.responses.length > 1 && store.project.responses === "all";
  return html`<li class="candidate ${current ? "current" : ""} ${verdict ?? ""}" aria-current=${current ? "true" : null} style=${{ "--colour": category.colour }} onClick=${() => judge.look(index)}>
    <span class="sign" role="img" aria-label=${verdict ?? "open"}>${SIGNS[verdict] ?? "?"}</span><span class="chip">${category.label}</span>
    <q dir="auto">${several ? `${one.said.target.slice(1)}: ` : ""}${shortened(wordsOf(store.item, one))}</q><span class="by muted">${differs(one) && html`<span class="tag warn" title=${t("They cite other sentences, or grade it otherwise.")}>${t("reasons differ")}</span> `}${one.by.join(" ")}</span>
    <span class="verdict"><button type="button" aria-pressed=${verdict === "accepted"} onClick=${decide("accepted")}>${t("Accept")}</button><button type="button" aria-pressed=${verdict === "rejected"} onClick=${decide("rejected")}>${t("Reject")}</button></span></li>`;
});

/** Whether those who made the mark gave other proofs or grades with it. */
function differs({ kind, variants }) {
  const given = kind === "span" ? variants.map(({ said }) => JSON.stringify([said.evidence, said.severity, said.antecedent])) : [];
  return new Set(given).size > 1;
}

/** The candidate in view: its words, and what each annotator gave with it. */
export function Details({ store, candidate, judge }) {
  if (!candidate) return html`<p class="muted">${t("Nothing chosen.")}</p>`;
  const { key, kind, said } = candidate;
  const category = store.category(said.category);
  const offered = store.categories(kind);
  return html`<div class="details" style=${{ "--colour": category.colour }}>
    <p><span class="chip">${category.label}</span></p>
    ${kind === "span" && html`<p class="text quoted" dir="auto">${visible(said.quote)}</p>`}
    ${candidate.variants.map((variant) => html`<${Variant} key=${variant.label} store=${store} variant=${variant} kind=${kind} />`)}
    <label>${t("Accept as")} <select value=${said.category} onChange=${(event) => judge.decide("accepted", store.ui.candidate, event.target.value)}>${offered.map((one) => html`<option value=${one.name}>${one.label}</option>`)}</select></label>
    <label>${t("Why")} <input dir="auto" value=${store.doc.reasons[key] ?? ""} onInput=${(event) => judge.because(key, event.target.value)} /></label></div>`;
}

function Variant({ store, variant, kind }) {
  const { label, said } = variant;
  const sentences = proofsOf(kind, said).flatMap((entry) => cited(store.item, entry));
  return html`<div class="variant" role="group" aria-label=${t("Annotator {name}", { name: label })}><strong>${label}</strong> ${said.severity && html`<span class="tag">${said.severity}</span>`}
    ${sentences.map((one) => html`<p class="cited"><span class="number">${spokenPlace(one)}</span> <span dir="auto">${visible(one.text)}</span></p>`)}
    ${said.antecedent && html`<p class="cited"><span class="number">↩</span> <q dir="auto">${visible(said.antecedent.text)}</q></p>`}
    ${said.comment && html`<p class="cited" dir="auto">${visible(said.comment)}</p>`}
    ${!sentences.length && !said.antecedent && !said.comment && html`<span class="muted small">${t("nothing beside the mark")}</span>`}</div>`;
}
