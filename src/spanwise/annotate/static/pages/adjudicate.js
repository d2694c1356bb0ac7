/**
 * Adjudication: one lane per annotator; what all agree on is taken over, the other spans and missing information are
 * accepted, rejected or relabelled one by one, and of different edits and comparisons one is chosen.
 */

import { api, pageData } from "../api.js";
import { listen } from "../keys.js";
import { Offsets } from "../text/offsets.js";
import { TextPane } from "../text/pane.js";
import { candidatesOf, comparisonsOf, same, told, undecided, verdictBody } from "../state/verdict.js";
import { newId } from "../state/wire.js";
import { announce } from "../ui/announce.js";
import { KeySheet } from "../ui/sheet.js";
import { visible } from "../text/invisible.js";
import { html, render, useLayoutEffect, useRef } from "../vendor/preact-htm.js";
import { places } from "../work/evidence.js";
import { shortened } from "../work/mark.js";

const { item, lanes, agreed, project } = pageData();
const root = document.getElementById("island");
const offsets = new Map(item.responses.map((response) => [response.key, new Offsets(response.text)]));
const colourOf = (name) => project.categories.find((category) => category.name === name)?.colour ?? "#888888";
const labelOf = (name) => project.categories.find((category) => category.name === name)?.label ?? name;

const state = { candidates: candidatesOf(lanes, agreed), comparisons: comparisonsOf(lanes), current: 0, reasons: {}, correction: firstCorrection(), comment: "", busy: false, message: "", done: false, sheet: false, past: [] };
const submissionId = newId();

function firstCorrection() {
  const index = lanes.findIndex((lane) => lane.body.corrections.length);
  return index < 0 ? null : lanes[index].label;
}

function show(patch) {
  Object.assign(state, patch);
  render(html`<${View} ...${state} />`, root);
}

function decide(verdict, index = state.current) {
  const candidates = state.candidates.map((one, place) => (place === index ? { ...one, verdict } : one));
  const next = candidates.findIndex((one, place) => place > index && !one.verdict);
  show({ candidates, current: next < 0 ? Math.min(index, candidates.length - 1) : next, past: [...state.past, state.candidates], message: "" });
  announce(`${labelOf(candidates[index].said.category)} ${verdict ?? "open"}`);
}

function relabel(category, index = state.current) {
  const candidates = state.candidates.map((one, place) => (place === index ? { ...one, verdict: "accepted", said: { ...one.said, category, ...(one.kind === "span" && { origin: "modified" }) } } : one));
  show({ candidates, past: [...state.past, state.candidates] });
}

function undo() {
  if (state.past.length) show({ candidates: state.past.at(-1), past: state.past.slice(0, -1) });
}

function choose(index, chosen) {
  show({ comparisons: state.comparisons.map((one, place) => (place === index ? { ...one, chosen } : one)), message: "" });
}

async function submit() {
  const open = undecided(state.candidates, state.comparisons);
  if (open?.index >= 0) {
    const count = state.candidates.filter((one) => !one.verdict).length;
    return show({ message: `${count} ${count === 1 ? "mark is" : "marks are"} not decided yet.`, current: open.index });
  }
  if (open) return show({ message: `Choose whose comparison holds (${open.aspect}).` });
  show({ busy: true });
  const reasons = Object.fromEntries(Object.entries(state.reasons).filter(([, text]) => text.trim()));
  try {
    await api("POST", `/api/v1/items/${encodeURIComponent(item.id)}/verdict`, { client_submission_id: submissionId, body: verdictBody({ lanes, agreed, ...state }), source_ids: lanes.map((lane) => lane.annotation_id), reasons });
    location.assign("/adjudicate");
  } catch (error) {
    show({ busy: false, message: error.body?.problems?.map((one) => `${one.place}: ${one.reason}`).join(" ") ?? error.detail });
  }
}

function marksOf(spans, key, current) {
  return spans.filter((span) => span.target === key).map((span, index) => ({ id: `${index}`, start: span.start, end: span.end, colour: colourOf(span.category), label: labelOf(span.category), classes: current && same("span", span, current) ? ["current"] : [] }));
}

function Lane({ name, label, spans, response, current, result = false }) {
  const box = useRef(null);
  const pane = useRef(null);
  useLayoutEffect(() => {
    pane.current = new TextPane(box.current, offsets.get(response.key));
  }, [response.key]);
  useLayoutEffect(() => pane.current.draw(marksOf(spans, response.key, current)), [spans, current, response.key]);
  return html`<div class="lane ${result ? "result" : ""}"><strong>${name}</strong><div class="text" ref=${box} tabindex="0" role="region" aria-label=${label}></div></div>`;
}

function View({ candidates, comparisons, current, correction, busy, message, comment, sheet }) {
  const accepted = candidates.filter((one) => one.kind === "span" && one.verdict === "accepted").map((one) => one.said);
  const responses = item.responses.filter((response) => lanes.some((lane) => lane.body.no_errors.includes(response.key) || [...lane.body.spans, ...lane.body.missing, ...lane.body.corrections].some((one) => one.target === response.key)));
  const corrections = lanes.filter((lane) => lane.body.corrections.length);
  const at = candidates[current]?.kind === "span" ? candidates[current].said : null;
  return html`<div class="judge">
    <section class="column scroller" aria-label="Lanes">
      <h2 class="pane-title">Prompt</h2><p class="prompt text" dir="auto">${visible(item.prompt)}</p>
      ${responses.map((response) => html`<div class="lanes">
        ${lanes.map((lane) => html`<${Lane} key=${lane.label} name=${lane.label} label="Annotator ${lane.label}" spans=${lane.body.spans} response=${response} current=${at} />`)}
        <${Lane} name="✓" label="Result" spans=${accepted} response=${response} current=${at} result />
      </div>`)}
      <h2 class="pane-title">Marks: ${candidates.filter((one) => !one.verdict).length} to decide</h2>
      <ol class="candidates" id="candidates">${candidates.map((one, index) => html`<${Candidate} key=${index} one=${one} index=${index} current=${index === current} />`)}</ol>
      ${!candidates.length && html`<p class="muted">Nobody marked anything.</p>`}
      ${comparisons.map((one, index) => html`<${Comparison} key=${`${one.list} ${one.aspect}`} one=${one} index=${index} />`)}
      ${corrections.length > 0 && html`<h2 class="pane-title">Edit</h2>${corrections.map((lane) => html`<label class="check"><input type="radio" name="correction" checked=${correction === lane.label} onChange=${() => show({ correction: lane.label })} /> <span><strong>${lane.label}</strong> <span class="text" dir="auto">${visible(lane.body.corrections[0].text)}</span></span></label>`)}`}
    </section>
    <aside class="column side-column scroller" aria-label="Details">
      <h2 class="pane-title">Mark</h2>
      ${candidates[current] ? html`<${Details} one=${candidates[current]} index=${current} />` : html`<p class="muted">Nothing chosen.</p>`}
      <h2 class="pane-title">Comment</h2>
      <textarea rows="3" aria-label="Comment" value=${comment} onInput=${(event) => (state.comment = event.target.value)}></textarea>
    </aside></div>
    <footer class="bar"><a class="button" href="/adjudicate">All items</a><span class="grow"></span>${message && html`<span class="caution" role="alert">${message}</span>`}
      <button type="button" class="quiet" disabled=${!state.past.length} onClick=${undo}>Undo</button>
      <button type="button" class="quiet" onClick=${() => show({ sheet: true })}>Keys <kbd>?</kbd></button>
      <button type="button" class="primary" disabled=${busy} onClick=${submit}>Submit verdict <kbd>Ctrl+Enter</kbd></button></footer>
    ${sheet && html`<${KeySheet} groups=${["Adjudicate"]} onClose=${() => show({ sheet: false })} />`}`;
}

function Comparison({ one, index }) {
  const title = one.aspect === "overall" ? "Comparison" : `Comparison: ${one.aspect}`;
  return html`<fieldset class="comparison"><legend class="pane-title">${title}</legend>
    ${one.ways.map((way, place) => html`<label class="check"><input type="radio" name=${`comparison ${index}`} checked=${one.chosen === place} onChange=${() => choose(index, place)} /> <span>${told(way)} <span class="muted">${way.by.join(" ")}</span></span></label>`)}</fieldset>`;
}

/** What a mark says, in the words that it stands on. */
function wordsOf({ kind, said }) {
  if (kind === "span") return said.quote;
  const { passage, sentences, title } = said.evidence;
  const source = item.passages[passage];
  return [title && source?.title, ...sentences.map((number) => source?.sentences[number])].filter(Boolean).join(" ");
}

function placeOf({ kind, said }) {
  return kind === "span" ? `${said.target}:${said.start}-${said.end}` : `${said.target}:missing ${said.category} ${said.evidence.passage}`;
}

function Candidate({ one, index, current }) {
  const { said, by, verdict } = one;
  return html`<li class="candidate ${current ? "current" : ""} ${verdict ?? ""}" style=${{ "--colour": colourOf(said.category) }} onClick=${() => show({ current: index })}>
    <span aria-label=${verdict ?? "open"}>${{ accepted: "✓", rejected: "✕" }[verdict] ?? "?"}</span><span class="chip">${labelOf(said.category)}</span><q dir="auto">${shortened(wordsOf(one))}</q><span class="muted">${by.join(" ")} of ${lanes.map((lane) => lane.label).join(" ")}</span>
    <span class="verdict"><button type="button" aria-pressed=${verdict === "accepted"} onClick=${(event) => { event.stopPropagation(); decide("accepted", index); }}>Accept <kbd>A</kbd></button><button type="button" aria-pressed=${verdict === "rejected"} onClick=${(event) => { event.stopPropagation(); decide("rejected", index); }}>Reject <kbd>R</kbd></button></span></li>`;
}

function Details({ one, index }) {
  const { kind, said } = one;
  const place = placeOf(one);
  const offered = project.categories.filter((category) => category.kind === kind);
  const links = kind === "span" ? said.evidence : [said.evidence];
  return html`<p><span class="chip" style=${{ "--colour": colourOf(said.category) }}>${labelOf(said.category)}</span></p><p class="text" dir="auto">${visible(wordsOf(one))}</p>
    ${links.length > 0 && html`<p class="muted">${kind === "span" ? "Evidence" : "Said in"}: ${links.map(places).join(", ")}</p>`}
    ${said.comment && html`<p class="muted">${visible(said.comment)}</p>`}
    <label>Category <select value=${said.category} onChange=${(event) => relabel(event.target.value, index)}>${offered.map((category) => html`<option value=${category.name}>${category.label}</option>`)}</select></label>
    <label>Why <input value=${state.reasons[place] ?? ""} onInput=${(event) => (state.reasons[place] = event.target.value)} /></label>`;
}

function move(direction) {
  if (!state.candidates.length) return;
  const current = Math.max(0, Math.min(state.candidates.length - 1, state.current + direction));
  show({ current });
  document.querySelector(".candidate.current")?.scrollIntoView({ block: "nearest" });
  announce(`${labelOf(state.candidates[current].said.category)}: ${wordsOf(state.candidates[current]).slice(0, 200)}`);
}

listen({
  accept: () => state.candidates.length && decide("accepted"), reject: () => state.candidates.length && decide("rejected"),
  "mark.next": () => move(1), "mark.previous": () => move(-1), undo, submit, sheet: () => show({ sheet: true }),
}, ["Adjudicate", "Everywhere"]);

root.replaceChildren();
show({ current: Math.max(0, state.candidates.findIndex((one) => !one.verdict)) });
