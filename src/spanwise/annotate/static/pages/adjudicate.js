/** Adjudication: one lane per annotator, agreed spans taken over, the rest accepted, rejected or relabelled one by one. */

import { api, pageData } from "../api.js";
import { listen } from "../keys.js";
import { Offsets } from "../text/offsets.js";
import { TextPane } from "../text/pane.js";
import { newId } from "../state/wire.js";
import { announce } from "../ui/announce.js";
import { KeySheet } from "../ui/sheet.js";
import { visible } from "../text/invisible.js";
import { html, render, useLayoutEffect, useRef } from "../vendor/preact-htm.js";
import { shortened } from "../work/mark.js";

const { item, lanes, agreed, project } = pageData();
const root = document.getElementById("island");
const offsets = new Map(item.responses.map((response) => [response.key, new Offsets(response.text)]));
const colourOf = (name) => project.categories.find((category) => category.name === name)?.colour ?? "#888888";
const labelOf = (name) => project.categories.find((category) => category.name === name)?.label ?? name;
const same = (a, b) => a.target === b.target && a.start === b.start && a.end === b.end && a.category === b.category;

/** Every different span that anyone marked, with who marked it; agreed ones are accepted to begin with. */
function candidatesOf() {
  const found = [];
  for (const lane of lanes) {
    for (const span of lane.body.spans) {
      const known = found.find((one) => same(one.span, span));
      if (known) known.by.push(lane.label);
      else found.push({ span, by: [lane.label], verdict: agreed.spans.some((one) => same(one, span)) ? "accepted" : null });
    }
  }
  return found.sort((a, b) => (a.span.target < b.span.target ? -1 : a.span.target > b.span.target ? 1 : a.span.start - b.span.start || a.span.end - b.span.end));
}

const state = { candidates: candidatesOf(), current: 0, reasons: {}, correction: firstCorrection(), comment: "", busy: false, message: "", done: false, sheet: false, past: [] };
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
  announce(`${labelOf(candidates[index].span.category)} ${verdict ?? "open"}`);
}

function relabel(category, index = state.current) {
  const candidates = state.candidates.map((one, place) => (place === index ? { ...one, verdict: "accepted", span: { ...one.span, category, origin: "modified" } } : one));
  show({ candidates, past: [...state.past, state.candidates] });
}

function undo() {
  if (state.past.length) show({ candidates: state.past.at(-1), past: state.past.slice(0, -1) });
}

function bodyOf() {
  const accepted = state.candidates.filter((one) => one.verdict === "accepted");
  const spans = accepted.map(({ span }) => ({ ...span, id: newId() }));
  const chosen = lanes.find((lane) => lane.label === state.correction);
  const marked = new Set([...spans.map((span) => span.target), ...agreed.missing.map((gap) => gap.target)]);
  const examined = new Set(lanes.flatMap((lane) => [...lane.body.no_errors, ...lane.body.spans.map((span) => span.target), ...lane.body.missing.map((gap) => gap.target)]));
  const no_errors = [...examined].filter((key) => !marked.has(key)).sort();
  return { ...agreed, spans, no_errors, corrections: chosen?.body.corrections ?? agreed.corrections, preferences: agreed.preferences.length ? agreed.preferences : (lanes[0]?.body.preferences ?? []), rankings: agreed.rankings.length ? agreed.rankings : (lanes[0]?.body.rankings ?? []), comment: state.comment };
}

async function submit() {
  const open = state.candidates.filter((one) => !one.verdict).length;
  if (open) return show({ message: `${open} ${open === 1 ? "span is" : "spans are"} not decided yet.`, current: state.candidates.findIndex((one) => !one.verdict) });
  show({ busy: true });
  const reasons = Object.fromEntries(Object.entries(state.reasons).filter(([, text]) => text.trim()));
  try {
    await api("POST", `/api/v1/items/${encodeURIComponent(item.id)}/verdict`, { client_submission_id: submissionId, body: bodyOf(), source_ids: lanes.map((lane) => lane.annotation_id), reasons });
    location.assign("/adjudicate");
  } catch (error) {
    show({ busy: false, message: error.body?.problems?.map((one) => `${one.place}: ${one.reason}`).join(" ") ?? error.detail });
  }
}

function marksOf(spans, key, current) {
  return spans.filter((span) => span.target === key).map((span, index) => ({ id: `${index}`, start: span.start, end: span.end, colour: colourOf(span.category), label: labelOf(span.category), classes: current && same(span, current) ? ["current"] : [] }));
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

function View({ candidates, current, correction, busy, message, comment, sheet }) {
  const accepted = candidates.filter((one) => one.verdict === "accepted").map((one) => one.span);
  const responses = item.responses.filter((response) => lanes.some((lane) => lane.body.no_errors.includes(response.key) || [...lane.body.spans, ...lane.body.missing, ...lane.body.corrections].some((one) => one.target === response.key)));
  const corrections = lanes.filter((lane) => lane.body.corrections.length);
  const at = candidates[current]?.span;
  return html`<div class="judge">
    <section class="column scroller" aria-label="Lanes">
      <h2 class="pane-title">Prompt</h2><p class="prompt text" dir="auto">${visible(item.prompt)}</p>
      ${responses.map((response) => html`<div class="lanes">
        ${lanes.map((lane) => html`<${Lane} key=${lane.label} name=${lane.label} label="Annotator ${lane.label}" spans=${lane.body.spans} response=${response} current=${at} />`)}
        <${Lane} name="✓" label="Result" spans=${accepted} response=${response} current=${at} result />
      </div>`)}
      <h2 class="pane-title">Spans: ${candidates.filter((one) => !one.verdict).length} to decide</h2>
      <ol class="candidates" id="candidates">${candidates.map((one, index) => html`<${Candidate} key=${index} one=${one} index=${index} current=${index === current} />`)}</ol>
      ${!candidates.length && html`<p class="muted">Nobody marked a span.</p>`}
      ${corrections.length > 0 && html`<h2 class="pane-title">Edit</h2>${corrections.map((lane) => html`<label class="check"><input type="radio" name="correction" checked=${correction === lane.label} onChange=${() => show({ correction: lane.label })} /> <span><strong>${lane.label}</strong> <span class="text" dir="auto">${visible(lane.body.corrections[0].text)}</span></span></label>`)}`}
    </section>
    <aside class="column side-column scroller" aria-label="Details">
      <h2 class="pane-title">Span</h2>
      ${at ? html`<${Details} one=${candidates[current]} index=${current} />` : html`<p class="muted">Nothing chosen.</p>`}
      <h2 class="pane-title">Comment</h2>
      <textarea rows="3" aria-label="Comment" value=${comment} onInput=${(event) => (state.comment = event.target.value)}></textarea>
    </aside></div>
    <footer class="bar"><a class="button" href="/adjudicate">All items</a><span class="grow"></span>${message && html`<span class="caution" role="alert">${message}</span>`}
      <button type="button" class="quiet" disabled=${!state.past.length} onClick=${undo}>Undo</button>
      <button type="button" class="quiet" onClick=${() => show({ sheet: true })}>Keys <kbd>?</kbd></button>
      <button type="button" class="primary" disabled=${busy} onClick=${submit}>Submit verdict <kbd>Ctrl+Enter</kbd></button></footer>
    ${sheet && html`<${KeySheet} groups=${["Adjudicate"]} onClose=${() => show({ sheet: false })} />`}`;
}

function Candidate({ one, index, current }) {
  const { span, by, verdict } = one;
  return html`<li class="candidate ${current ? "current" : ""} ${verdict ?? ""}" style=${{ "--colour": colourOf(span.category) }} onClick=${() => show({ current: index })}>
    <span aria-label=${verdict ?? "open"}>${{ accepted: "✓", rejected: "✕" }[verdict] ?? "?"}</span><span class="chip">${labelOf(span.category)}</span><q dir="auto">${shortened(span.quote)}</q><span class="muted">${by.join(" ")} of ${lanes.map((lane) => lane.label).join(" ")}</span>
    <span class="verdict"><button type="button" aria-pressed=${verdict === "accepted"} onClick=${(event) => { event.stopPropagation(); decide("accepted", index); }}>Accept <kbd>A</kbd></button><button type="button" aria-pressed=${verdict === "rejected"} onClick=${(event) => { event.stopPropagation(); decide("rejected", index); }}>Reject <kbd>R</kbd></button></span></li>`;
}

function Details({ one, index }) {
  const { span } = one;
  const reason = (event) => (state.reasons[`${span.target}:${span.start}-${span.end}`] = event.target.value);
  return html`<p><span class="chip" style=${{ "--colour": colourOf(span.category) }}>${labelOf(span.category)}</span></p><p class="text" dir="auto">${visible(span.quote)}</p>
    ${span.comment && html`<p class="muted">${span.comment}</p>`}
    <label>Category <select value=${span.category} onChange=${(event) => relabel(event.target.value, index)}>${project.categories.filter((category) => category.kind === "span").map((category) => html`<option value=${category.name}>${category.label}</option>`)}</select></label>
    <label>Why <input value=${state.reasons[`${span.target}:${span.start}-${span.end}`] ?? ""} onInput=${reason} /></label>`;
}

function move(direction) {
  if (!state.candidates.length) return;
  const current = Math.max(0, Math.min(state.candidates.length - 1, state.current + direction));
  show({ current });
  document.querySelector(".candidate.current")?.scrollIntoView({ block: "nearest" });
  announce(`${labelOf(state.candidates[current].span.category)}: ${state.candidates[current].span.quote.slice(0, 200)}`);
}

listen({
  accept: () => state.candidates.length && decide("accepted"), reject: () => state.candidates.length && decide("rejected"),
  "mark.next": () => move(1), "mark.previous": () => move(-1), undo, submit, sheet: () => show({ sheet: true }),
}, ["Adjudicate", "Everywhere"]);

root.replaceChildren();
show({ current: Math.max(0, state.candidates.findIndex((one) => !one.verdict)) });
