/** The overview's agreement panel: fetched after the page, because it takes a moment to compute. */

import { api } from "../api.js";
import { html, render } from "../vendor/preact-htm.js";

const box = document.getElementById("agreement");

/** A number with its interval, or why there is none. */
function Estimate({ value }) {
  if (value === null || value === undefined) return html`<span class="muted">–</span>`;
  if (typeof value === "number") return value.toFixed(2);
  if (value.value === null) return html`<span class="muted" title=${value.reason ?? ""}>${value.reason ?? "–"}</span>`;
  const { low, high } = value;
  const place = (x) => `${Math.max(0, Math.min(100, x * 100))}%`;
  return html`${value.value.toFixed(2)}${low !== null && low !== undefined && html` <small class="muted">[${low.toFixed(2)}, ${high.toFixed(2)}]</small>
    <span class="interval" aria-hidden="true"><i style=${{ "--from": place(low), "--width": place(high - low) }}></i><b style=${{ "--at": place(value.value) }}></b></span>`}`;
}

const title = (name) => name.replaceAll("_", " ").replace(/^./, (first) => first.toUpperCase());
const isEstimate = (value) => value !== null && typeof value === "object" && "value" in value;
const isLeaf = (value) => value === null || typeof value !== "object" || isEstimate(value);

/** The panel as the server names it: plain numbers as a table, groups of them as tables of their own. */
function Panel({ panel }) {
  const leaves = Object.entries(panel).filter(([, value]) => isLeaf(value));
  const groups = Object.entries(panel).filter(([, value]) => !isLeaf(value) && Object.keys(value).length);
  return html`${leaves.length > 0 && html`<div class="scroll"><table><tbody>${leaves.map(([name, value]) => html`<tr><td>${title(name)}</td><td>${typeof value === "string" ? value : html`<${Estimate} value=${value} />`}</td></tr>`)}</tbody></table></div>`}
    ${groups.map(([name, group]) => html`<h3>${title(name)}</h3><${Panel} panel=${group} />`)}`;
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
