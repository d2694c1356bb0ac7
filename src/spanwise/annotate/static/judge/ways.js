/** The different edits and comparisons that people made, each to take over; what is taken can be changed below them. */

import { t } from "../messages.js";
import { editsOf, told, wayTaken } from "../state/verdict.js";
import { visible } from "../text/invisible.js";
import { wordDiff } from "../text/diff.js";
import { html, useMemo } from "../vendor/preact-htm.js";

export function Edits({ store, lanes, judge }) {
  const { key, offsets } = store.text;
  const edits = useMemo(() => editsOf(lanes, key), [key]);
  if (!edits.length) return html`<p class="muted">${t("Nobody edited this response.")}</p>`;
  const now = store.answer.correction;
  return html`<fieldset class="comparison"><legend class="pane-title">${t("Edits")}</legend>
    ${edits.map((one) => html`<label class="check"><input type="radio" name="edit ${key}" checked=${now === one.text} onChange=${() => judge.takeEdit(one.text)} />
      <span><strong>${one.by.join(" ")}</strong> <span class="text" dir="auto"><${Edited} before=${offsets.text} after=${one.text} /></span></span></label>`)}
    ${now !== null && !edits.some((one) => one.text === now) && html`<p class="muted small">${t("Now: your own edit.")}</p>`}</fieldset>`;
}

function Edited({ before, after }) {
  const runs = useMemo(() => wordDiff(before, after), [before, after]);
  if (before === after) return html`<em class="muted">${t("unchanged")}</em>`;
  return html`<span class="marked-changes">${runs.map((run) => (run.kind === "same" ? visible(run.before) : html`${run.before && html`<del>${visible(run.before)}</del>`}${run.after && html`<ins>${visible(run.after)}</ins>`}`))}</span>`;
}

export function Comparisons({ store, comparisons, judge }) {
  return comparisons.map((one) => html`<${Comparison} key=${`${one.list} ${one.aspect}`} store=${store} one=${one} judge=${judge} />`);
}

function Comparison({ store, one, judge }) {
  const title = one.aspect === "overall" ? t("What people said") : `${t("What people said")}: ${one.aspect}`;
  const taken = wayTaken(store.doc, one);
  return html`<fieldset class="comparison"><legend class="pane-title">${title}</legend>
    ${one.ways.map((way) => html`<label class="check"><input type="radio" name="comparison ${one.list} ${one.aspect}" checked=${taken === way.key} onChange=${() => judge.takeWay(one, way)} /> <span>${told(way)} <span class="muted">${way.by.join(" ")}</span></span></label>`)}
    ${taken && !one.ways.some((way) => way.key === taken) && html`<p class="muted small">${t("Now: your own comparison.")}</p>`}</fieldset>`;
}
