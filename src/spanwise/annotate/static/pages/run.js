/** The curves of a run, live while it trains; other runs can be laid over them. */

import { api, pageData } from "../api.js";
import { listen } from "../keys.js";
import { t } from "../messages.js";
import { KeySheet } from "../ui/sheet.js";
import { Chart } from "../ui/chart.js";
import { html, render } from "../vendor/preact-htm.js";

const { id, name, others } = pageData();
const root = document.getElementById("island");
const REFRESH = 5000;
const SMOOTHING = [0, 0.5, 0.8, 0.9, 0.95];
const state = { runs: [], log: false, smoothing: 0, filter: "", sheet: false, message: "", at: null };

function show(patch) {
  Object.assign(state, patch);
  render(html`<${View} ...${state} />`, root);
}

async function load(run) {
  return api("GET", `/api/v1/runs/${run}/curves`);
}

async function refresh() {
  try {
    show({ runs: await Promise.all((state.runs.length ? state.runs.map((run) => run.id) : [id]).map(load)), at: new Date(), message: "" });
  } catch (error) {
    show({ message: error.detail || error.message });
  }
}

async function add(run) {
  if (run) show({ runs: [...state.runs, await load(run)] });
}

/** Names of curves by the part before the slash. */
function groupsOf(runs, filter) {
  const names = [...new Set(runs.flatMap((run) => Object.keys(run.series)))].filter((one) => one.toLowerCase().includes(filter.trim().toLowerCase()));
  const order = ["reward", "eval", "kl", "policy", "value", "response"];
  const place = (group) => (order.includes(group) ? order.indexOf(group) : order.length);
  const groups = Map.groupBy(names.sort(), (one) => (one.includes("/") ? one.slice(0, one.indexOf("/")) : "other"));
  return [...groups].sort(([a], [b]) => place(a) - place(b) || (a < b ? -1 : 1));
}

function View({ runs, log, smoothing, filter, sheet, message, at }) {
  if (!runs.length) return html`<p class="muted">${message || t("Loading…")}</p>`;
  const rest = others.filter((other) => !runs.some((run) => run.id === other.id));
  return html`<div class="run-head">
      ${runs.map((run, index) => html`<span class="run-name"><span class="series-${index}" aria-hidden="true">━</span> ${run.name} ${run.live && html`<span class="tag good">${t("running")}</span>`} <span class="muted">${t("step {number}", { number: run.last_step ?? "–" })}</span>${index > 0 && html`<button type="button" class="quiet" aria-label=${t("Take away {name}", { name: run.name })} onClick=${() => show({ runs: runs.filter((other) => other !== run) })}>✕</button>`}</span>`)}
      ${rest.length > 0 && html`<label>${t("Lay over")} <select onChange=${(event) => { add(event.target.value); event.target.value = ""; }}><option value="">${t("choose a run")}</option>${rest.map((other) => html`<option value=${other.id}>${other.name}</option>`)}</select></label>`}
    </div>
    <div class="run-head">
      <label>${t("Filter")} <input type="search" id="curve-filter" value=${filter} onInput=${(event) => show({ filter: event.target.value })} /></label>
      <label>${t("Smoothing")} <select value=${smoothing} onChange=${(event) => show({ smoothing: Number(event.target.value) })}>${SMOOTHING.map((one, index) => html`<option value=${index}>${one ? one : "none"}</option>`)}</select></label>
      <button type="button" aria-pressed=${log} onClick=${() => show({ log: !log })}>${t("Log scale")} <kbd>L</kbd></button>
      <button type="button" onClick=${refresh}>${t("Refresh")} <kbd>R</kbd></button>
      <span class="muted small" role="status">${message || (at ? t("as of {time}", { time: at.toLocaleTimeString() }) : "")}</span>
    </div>
    ${groupsOf(runs, filter).map(([group, names]) => html`<h2 class="group-title">${group}</h2><div class="charts">${names.map((one) => html`<${Chart} key=${one} name=${one} runs=${runs} log=${log} smoothing=${SMOOTHING[smoothing]} open=${openStep} />`)}</div>`)}
    ${sheet && html`<${KeySheet} groups=${["Runs"]} onClose=${() => show({ sheet: false })} />`}`;
}

/** A click on a point leads to the samples of that step. */
function openStep(run, step) {
  location.assign(`/runs/${run}/samples?step=${step}`);
}

listen({
  filter: () => document.getElementById("curve-filter")?.focus(), log: () => show({ log: !state.log }), refresh,
  "smooth.less": () => show({ smoothing: Math.max(0, state.smoothing - 1) }),
  "smooth.more": () => show({ smoothing: Math.min(SMOOTHING.length - 1, state.smoothing + 1) }),
  sheet: () => show({ sheet: true }),
}, ["Runs", "Everywhere"]);

root.replaceChildren();
refresh();
setInterval(() => {
  if (document.visibilityState === "visible" && state.runs.some((run) => run.live)) refresh();
}, REFRESH);
document.title = `${name} · ${t("Runs")}`;
