/** Samples of a run as heat maps: every token with its value on one channel, all channels of one token in a table. */

import { api, pageData } from "../api.js";
import { hint, listen } from "../keys.js";
import { t } from "../messages.js";
import { Offsets } from "../text/offsets.js";
import { visible } from "../text/invisible.js";
import { colourOf, isDark, stepOf } from "../text/colours.js";
import { announce } from "../ui/announce.js";
import { KeySheet } from "../ui/sheet.js";
import { html, render, useEffect, useRef } from "../vendor/preact-htm.js";

const { id, name } = pageData();
const root = document.getElementById("island");
const SCALES = ["sample", "run", "fixed"];
const SCALE_NAMES = { sample: t("this sample"), run: t("the whole run"), fixed: "±1" };
const query = new URLSearchParams(location.search);
const state = {
  wanted: 0,
  index: Number(query.get("sample") ?? 0) || 0,
  channel: query.get("channel"),
  token: query.has("token") ? Number(query.get("token")) : null,
  values: query.has("values"), sums: query.has("sums"), overlay: !query.has("plain"),
  scale: SCALES.includes(query.get("scale")) ? query.get("scale") : "run",
  step: query.get("step") ?? "", sample: null, list: null, message: "", sheet: false, table: query.has("table"),
};

function show(patch) {
  Object.assign(state, patch);
  keepAddress();
  render(html`<${View} ...${state} />`, root);
}

/** The view stands in the address, so that a link leads back to it. */
function keepAddress() {
  const kept = new URLSearchParams({ sample: state.index });
  if (state.channel) kept.set("channel", state.channel);
  if (state.token !== null) kept.set("token", state.token);
  if (state.scale !== "run") kept.set("scale", state.scale);
  if (state.step) kept.set("step", state.step);
  for (const flag of ["values", "sums", "table"]) if (state[flag]) kept.set(flag, "1");
  if (!state.overlay) kept.set("plain", "1");
  history.replaceState(null, "", `?${kept}`);
}

async function openSample(index, token = null) {
  state.wanted = index;
  if (state.message) show({ message: "" });
  try {
    const sample = await api("GET", `/api/v1/runs/${id}/samples/${index}`);
    if (state.wanted !== index) return; // someone has gone on meanwhile
    const channel = state.channel in sample.channels ? state.channel : Object.keys(sample.channels)[0];
    show({ sample, index, channel, token });
  } catch (error) {
    state.wanted = state.index;
    show({ message: error.detail || error.message });
  }
}

async function openList() {
  const step = state.step ? `?step=${encodeURIComponent(state.step)}` : "";
  state.list = await api("GET", `/api/v1/runs/${id}/samples${step}`);
}

/** The value that has full colour. */
function fullValue({ sample, list, channel, scale }) {
  if (scale === "fixed") return 1;
  if (scale === "run") return list?.largest[channel] ?? 0;
  return Math.max(0, ...sample.channels[channel].map((value) => Math.abs(value ?? 0)));
}

/** Sums of a channel between the tokens that carry a value: what each segment was given. */
function segmentSums(values) {
  const sums = values.map(() => null);
  values.forEach((value, index) => {
    if (value) sums[index] = value;
  });
  return sums;
}

function View(view) {
  const { sample, list, channel, message } = view;
  if (!sample) return html`<p class="muted loading">${message || t("Loading…")}</p>`;
  const channels = Object.keys(sample.channels);
  const full = fullValue(view);
  return html`<div class="heat">
    <section class="column scroller" aria-label=${t("Sample")}>
      <div class="heat-head">
        <strong>${t("Sample {number} of {total}", { number: view.index + 1, total: sample.count })}</strong><span class="muted">${t("step {number}", { number: sample.step })}${sample.total !== null ? `, ${t("reward {value}", { value: format(sample.total) })}` : ""}${sample.dropped ? `, ${t("dropped")}` : ""}</span><span class="grow"></span>
        <button type="button" title=${hint("sample.previous")} disabled=${view.index === 0} onClick=${() => openSample(view.index - 1)}>← <kbd>K</kbd></button>
        <button type="button" title=${hint("sample.next")} disabled=${view.index + 1 >= sample.count} onClick=${() => openSample(view.index + 1)}><kbd>J</kbd> →</button>
      </div>
      <h2 class="pane-title">${t("Prompt")}</h2>
      <p class="text" dir="auto">${visible(sample.prompt)}</p>
      <div class="heat-head">
        <div class="switch" role="group" aria-label=${t("Channel")}>${channels.map((one) => html`<button type="button" aria-pressed=${one === channel} onClick=${() => show({ channel: one })}>${one}</button>`)}</div>
        <${Scale} full=${full} scale=${view.scale} />
      </div>
      ${channel ? html`<${HeatText} ...${view} full=${full} />` : html`<p class="text">${visible(sample.response)}</p><p class="muted">${t("This run logged no values per token.")}</p>`}
      <div class="heat-head">
        ${[["values", t("Numbers"), "values"], ["sums", t("Segment sums"), "sums"], ["overlay", t("Marked spans"), "overlay"], ["table", t("Table"), null]].map(([flag, label, key]) => html`<button type="button" aria-pressed=${view[flag]} onClick=${() => show({ [flag]: !view[flag] })}>${label} ${key && html`<kbd>${hint(key)}</kbd>`}</button>`)}
        <button type="button" class="quiet" onClick=${() => show({ sheet: true })}>${t("Keys")} <kbd>?</kbd></button>
        ${message && html`<span class="muted" role="status">${message}</span>`}
      </div>
      ${view.table && html`<${TokenTable} sample=${sample} channels=${channels} token=${view.token} />`}
    </section>
    <aside class="column side-column scroller" aria-label=${t("Token and samples")}>
      <${Values} ...${view} channels=${channels} />
      <h2 class="pane-title">${t("Samples of {name}", { name })}</h2>
      <label class="small">${t("Step")} <select value=${view.step} onChange=${(event) => choose(event.target.value)}><option value="">${t("all")}</option>${(list?.steps ?? []).map((step) => html`<option value=${step}>${step}</option>`)}</select></label>
      <ol class="sample-list">${(list?.rows ?? []).map((row) => html`<li><button type="button" aria-current=${row.index === view.index} onClick=${() => openSample(row.index)}><span dir="auto">${visible(row.response || t("(empty)"))}</span><span class="muted">${row.total === null ? "" : format(row.total)}</span><span class="muted small">${t("step {number}", { number: row.step })}</span></button></li>`)}</ol>
      ${list && list.total > list.rows.length && html`<p class="muted small">${t("{count} of {total} shown", { count: list.rows.length, total: list.total })}</p>`}
    </aside>
    ${view.sheet && html`<${KeySheet} groups=${["Heat map"]} onClose=${() => show({ sheet: false })} />`}
  </div>`;
}

async function choose(step) {
  state.step = step;
  await openList();
  if (state.list.rows.length) await openSample(state.list.rows[0].index);
}

function Scale({ full, scale }) {
  const canvas = useRef(null);
  useEffect(() => {
    const pen = canvas.current.getContext("2d");
    pen.clearRect(0, 0, 21, 1);
    for (let step = -10; step <= 10; step += 1) {
      pen.fillStyle = colourOf(step);
      pen.fillRect(step + 10, 0, 1, 1);
    }
  }, []);
  const next = SCALES[(SCALES.indexOf(scale) + 1) % SCALES.length];
  return html`<span class="scale">${format(-full)}<canvas ref=${canvas} width="21" height="1" aria-hidden="true"></canvas>${format(full)}
    <button type="button" class="quiet" title=${hint("scale")} onClick=${() => show({ scale: next })}>${t("by {scale}", { scale: SCALE_NAMES[scale] })} <kbd>N</kbd></button></span>`;
}

/** The answer, piece by piece: text that a token wrote, text that none wrote, and tokens that wrote nothing. */
function HeatText({ sample, channel, full, token, values, sums, overlay }) {
  const box = useRef(null);
  useEffect(() => {
    box.current.querySelector(".current")?.scrollIntoView({ block: "nearest" });
  }, [token]);
  const offsets = new Offsets(sample.response);
  const numbers = sums ? segmentSums(sample.channels[channel]) : sample.channels[channel];
  const pieces = [];
  let at = 0;
  sample.places.forEach((place, index) => {
    if (place && place[0] > at) pieces.push(offsets.slice(at, place[0]));
    const text = place ? offsets.slice(...place) : sample.tokens[index] || "·";
    pieces.push(html`<${Token} key=${index} index=${index} text=${text} special=${!place} value=${sample.channels[channel][index]} full=${full} current=${index === token}
      number=${values || sums ? numbers[index] : null} over=${overlay && place && sample.spans.some((span) => span.start < place[1] && place[0] < span.end)} />`);
    if (place) at = place[1];
  });
  if (at < offsets.length) pieces.push(offsets.slice(at, offsets.length));
  const label = t("Response in {count} tokens, coloured by {channel}; arrow keys walk through them", { count: sample.tokens.length, channel });
  return html`<div class="heat-text ${values || sums ? "numbers" : ""}" id="heat-text" tabindex="0" role="application" aria-roledescription="heat map" aria-label=${label} dir="auto" ref=${box}>${pieces}</div>`;
}

function Token({ index, text, special, value, full, current, number, over }) {
  const step = stepOf(value, full);
  const classes = ["tok", special && "special", current && "current", value && "end", over && "over"].filter(Boolean).join(" ");
  const style = step ? { "--heat": colourOf(step), ...(isDark(step) ? { "--heat-ink": "#fff" } : {}) } : {};
  const said = value === null ? t("not scored") : format(value);
  return html`<span class=${classes} style=${style} data-token=${index} data-value=${number ? format(number) : undefined} title="${text}: ${said}"
    onMouseEnter=${() => show({ token: index })} onClick=${() => show({ token: index })}>${visible(text)}</span>`;
}

function Values({ sample, channels, channel, token }) {
  if (token === null || token === undefined || sample.tokens[token] === undefined) return html`<p class="muted">${t("Point at a token, or walk with ← →.")}</p>`;
  const place = sample.places[token];
  return html`<h2 class="pane-title">${t("Token {number}", { number: token + 1 })}</h2>
    <p class="text"><q dir="auto">${visible(sample.tokens[token])}</q> <span class="muted small">${place ? t("characters {start}–{end}", { start: place[0], end: place[1] }) : t("wrote nothing")}</span></p>
    <table class="values"><tbody>${channels.map((one) => html`<tr aria-current=${one === channel ? "true" : undefined}><td>${one}</td><td>${format(sample.channels[one][token])}</td></tr>`)}</tbody></table>`;
}

function TokenTable({ sample, channels, token }) {
  return html`<div class="scroll" tabindex="0" role="region" aria-label=${t("Values as a table")}><table class="values"><thead><tr><th>${t("Token")}</th><th>${t("Characters")}</th>${channels.map((one) => html`<th>${one}</th>`)}</tr></thead>
    <tbody>${sample.tokens.map((text, index) => html`<tr aria-current=${index === token ? "true" : undefined}><td>${visible(text)}</td><td>${sample.places[index]?.join("–") ?? ""}</td>${channels.map((one) => html`<td>${format(sample.channels[one][index])}</td>`)}</tr>`)}</tbody></table></div>`;
}

function format(value) {
  if (value === null || value === undefined) return "–";
  if (value === 0) return "0";
  return (Math.abs(value) < 0.001 ? value.toExponential(1) : value.toFixed(3)).replace("-", "−");
}

function step(direction) {
  const { sample, token } = state;
  if (!sample?.tokens.length) return;
  const next = token === null ? 0 : Math.max(0, Math.min(sample.tokens.length - 1, token + direction));
  show({ token: next });
  announce(`${sample.tokens[next]}: ${format(sample.channels[state.channel]?.[next])}`);
}

function nextChannel() {
  const channels = Object.keys(state.sample.channels);
  show({ channel: channels[(channels.indexOf(state.channel) + 1) % channels.length] });
  announce(state.channel);
}

async function copy() {
  try {
    await navigator.clipboard.writeText(location.href);
    show({ message: t("Link copied.") });
  } catch {
    show({ message: t("Copy the address of this page: it holds the view.") });
  }
}

listen({
  "token.left": () => step(-1), "token.right": () => step(1), channel: nextChannel,
  values: () => show({ values: !state.values }), sums: () => show({ sums: !state.sums }),
  scale: () => show({ scale: SCALES[(SCALES.indexOf(state.scale) + 1) % SCALES.length] }),
  "sample.next": () => state.wanted + 1 < state.sample.count && openSample(state.wanted + 1),
  "sample.previous": () => state.wanted > 0 && openSample(state.wanted - 1),
  overlay: () => show({ overlay: !state.overlay }), copy, sheet: () => show({ sheet: true }),
}, ["Heat map", "Everywhere"]);

(async () => {
  try {
    await openList();
    root.replaceChildren();
    if (!state.list.total) show({ message: t("This run has logged no samples yet.") });
    else if (state.step && !query.has("sample") && state.list.rows.length) await openSample(state.list.rows[0].index);
    else await openSample(state.index, state.token);
  } catch (error) {
    show({ message: error.detail || error.message });
  }
})();
