/** The overview's part on the next round: a button, and what the round is at while the server's command works. */

import { api } from "../api.js";
import { t } from "../messages.js";
import { announce } from "../ui/announce.js";
import { html, render } from "../vendor/preact-htm.js";

const STAGES = [
  ["export", t("export what was said")], ["train", t("train the reward models")], ["answer", t("let the policy answer")],
  ["score", t("find the most uncertain answers")], ["queue", t("queue them")],
];
const OFTEN = 1500;

const box = document.getElementById("round");
let before = "";

function Stages({ state, stage }) {
  const at = STAGES.findIndex(([name]) => name === stage);
  const mark = (index) => {
    if (state === "done" || index < at) return "✓";
    if (index > at) return "·";
    return state === "failed" ? "✕" : "…";
  };
  return html`<ol class="stages">${STAGES.map(([name, label], index) => html`<li key=${name} aria-current=${state === "running" && index === at ? "step" : null}><span aria-hidden="true">${mark(index)}</span> ${label}</li>`)}</ol>`;
}

function Round({ told, start, busy }) {
  const { state, ready, said, log } = told;
  if (!ready && state === "idle") {
    return html`<p>${t("To close rounds from here, say in")} <code>round.yaml</code>${t(", beside")} <code>project.yaml</code>${t(", how:")} <code>reward_model</code>, <code>generate</code>, <code>prompts</code>.</p>`;
  }
  const again = state === "failed" ? t("Try again") : t("Close round {number}", { number: box.dataset.round });
  return html`
    ${state !== "idle" && html`<${Stages} ...${told} />`}
    ${state === "running" && html`<progress aria-label=${t("Closing the round")}></progress>`}
    ${state === "done" && html`<p class="notice">${said}</p>`}
    ${state === "failed" && html`<p class="notice bad" role="alert">${said}</p>`}
    ${log.length > 0 && state !== "done" && html`<details open=${state === "failed"}><summary>${t("What the commands say")}</summary><pre class="log">${log.join("\n")}</pre></details>`}
    ${state !== "running" && ready && html`<p><button type="button" class="primary" disabled=${busy} onClick=${start}>${again}</button></p>`}`;
}

function show(told, busy = false) {
  render(html`<${Round} told=${told} busy=${busy} start=${start} />`, box);
  const now = `${told.state} ${told.stage}`;
  if (before.startsWith("running") && told.state === "done") return location.reload(); // every figure is another one
  if (before && now !== before) announce(told.said || STAGES.find(([name]) => name === told.stage)?.[1] || told.state);
  before = now;
  box.dataset.state = told.state;
  if (told.state === "running") setTimeout(look, OFTEN);
  return undefined;
}

async function look() {
  try {
    show(await api("GET", "/api/v1/round"));
  } catch (error) {
    if (box.dataset.state === "running") setTimeout(look, 4 * OFTEN);
    else trouble(error);
  }
}

async function start() {
  try {
    show(await api("POST", "/api/v1/round", {}));
  } catch (error) {
    trouble(error);
  }
}

function trouble(error) {
  render(html`<p class="notice bad" role="alert">${error.detail || error.message}</p><p><button type="button" onClick=${look}>${t("Look again")}</button></p>`, box);
}

box.replaceChildren();
look();
