/** The overview's agreement panel: fetched after the page, because it takes a moment to compute. */

import { api } from "../api.js";
import { t } from "../messages.js";
import { html, render } from "../vendor/preact-htm.js";

const box = document.getElementById("agreement");
const number = (value) => (value === null || value === undefined ? "–" : value.toFixed(2));

/** Alpha with its interval, or why there is none. */
function Alpha({ alpha }) {
  if (alpha.value === null) return html`<span class="muted">${alpha.reason || "–"}</span>`;
  const place = (value) => `${Math.max(0, Math.min(100, value * 100))}%`;
  return html`<span class="interval" aria-hidden="true"><i style=${{ "--from": place(alpha.low), "--width": place(alpha.high - Math.max(alpha.low, 0)) }}></i><b style=${{ "--at": place(alpha.value) }}></b></span>
    ${" "}${number(alpha.value)} <small class="muted">[${number(alpha.low)}, ${number(alpha.high)}]</small>`;
}

function Panel({ panel }) {
  if (!panel.items) return html`<p class="muted">${t("No item has annotations of two people yet.")}</p>`;
  const rows = [...panel.categories, ...panel.missing];
  return html`<p class="muted">${t("{items} items with annotations of several people ({people} people).", { items: panel.items, people: panel.annotators.length })}</p>
    ${rows.length > 0 && html`<div class="scroll" tabindex="0"><table>
      <thead><tr><th>${t("Category")}</th><th class="left">${t("Judged per")}</th><th class="left">${t("Krippendorff's alpha [95 %]")}</th><th>${t("Units")}</th><th>${t("Span F1")}</th><th>${t("Found alike")}</th><th>${t("Cut alike")}</th></tr></thead>
      <tbody>${rows.map((row) => html`<tr><td>${row.category}</td><td class="left muted">${row.level}</td><td class="left nowrap"><${Alpha} alpha=${row.alpha} /></td><td>${row.alpha.units}</td><td>${number(row.spans.f1)}</td><td>${number(row.spans.detection)}</td><td>${number(row.spans.boundary)}</td></tr>`)}
      <tr><td>${t("All spans")}</td><td></td><td></td><td>${panel.spans.spans}</td><td>${number(panel.spans.f1)}</td><td>${number(panel.spans.detection)}</td><td>${number(panel.spans.boundary)}</td></tr></tbody></table></div>`}
    <dl class="plain-list">
      <div><dt>${t("Comparisons, ordinal alpha")}</dt><dd><${Alpha} alpha=${panel.preferences.alpha} /></dd></div>
      <div><dt>${t("Comparisons that are the same")}</dt><dd>${panel.preferences.same === null ? "–" : `${Math.round(panel.preferences.same * 100)} %`}</dd></div>
      <div><dt>${t("Evidence shared on matching spans")}</dt><dd>${number(panel.evidence)}</dd></div>
      <div><dt>${t("Edits, F1 of changed words")}</dt><dd>${number(panel.edits)}</dd></div>
    </dl>
    ${panel.warnings.length > 0 && html`<ul class="plain-list">${panel.warnings.map((words) => html`<li>${words}</li>`)}</ul>`}`;
}

async function load() {
  try {
    const panel = await api("GET", "/api/v1/agreement?resamples=200");
    render(html`<${Panel} panel=${panel} />`, box);
  } catch (error) {
    render(html`<p class="muted">${error.detail || error.message}</p>`, box);
  }
  box.dataset.ready = "yes";
}

box.replaceChildren();
load();
