/** The response with its marks, and the list of spans under it. */

import { t } from "../messages.js";
import { paint, supported } from "../ui/highlight.js";
import { kept } from "../ui/kept.js";
import { TextPane } from "../text/pane.js";
import { html, useLayoutEffect, useRef } from "../vendor/preact-htm.js";
import { lacks } from "../state/checks.js";
import { places } from "./evidence.js";
import { followPointer } from "./pointer.js";

/** Marks of the response as the text pane draws them. */
function marksOf(store) {
  const { ui, answer } = store;
  const marks = answer.spans.map((span) => {
    const category = store.category(span.category);
    const classes = [];
    if (span.id === ui.current) classes.push("current");
    if (lacks(span, category, store.item)) classes.push("lacking");
    if (category.polarity === "positive") classes.push("positive");
    return { id: span.id, start: span.start, end: span.end, colour: category.colour, classes, label: category.label };
  });
  if (ui.mode?.kind === "antecedent" && store.currentSpan) {
    marks.push({ id: "later", start: store.currentSpan.start, end: store.text.offsets.length, classes: ["later"] });
  }
  if (!supported && ui.sel) marks.push({ id: "selection", ...ui.sel, classes: ["selected"] });
  return marks;
}

export function ResponsePane({ store, commands }) {
  const root = useRef(null);
  const pane = useRef(null);
  const { ui, answer } = store;
  const { offsets, snapping, key } = store.text;

  useLayoutEffect(() => {
    pane.current = new TextPane(root.current, offsets);
    root.current.pane = pane.current;
    return () => ["chosen", "unit", "antecedent"].forEach((name) => paint(name, []));
  }, [key]);

  useLayoutEffect(() => {
    pane.current.draw(marksOf(store));
  }, [answer.spans, ui.current, ui.mode, key, supported ? null : ui.sel]);

  useLayoutEffect(() => {
    const range = (part) => (part ? pane.current.range(part.start, part.end) : null);
    paint("chosen", [range(ui.sel)]);
    const subject = ui.sel ?? store.currentSpan;
    const unit = subject && snapping.snap(subject.start, subject.end, store.project.snap_unit ?? "sub-sentence");
    paint("unit", [unit ? pane.current.range(...unit) : null]);
    const repeated = store.currentSpan?.antecedent;
    paint("antecedent", [range(repeated)]);
    if (ui.sel && ui.byKeyboard) reveal(root.current, range(ui.sel));
  }, [ui.sel, ui.current, answer.spans, key]);

  useLayoutEffect(() => followPointer(root.current, store, commands, () => pane.current), [key]);

  const spans = answer.spans.length;
  const said = t("Response {number}, {words} words, {spans}", { number: ui.response + 1, words: snapping.words.ranges.length, spans: spans ? t("{count} spans", { count: spans }) : t("no spans") });
  return html`<div
    class="text response ${ui.mode?.kind === "antecedent" ? "choosing" : ""}" id="response" data-pane tabindex="0" role="textbox"
    aria-readonly="true" aria-multiline="true" aria-label=${said} aria-describedby="response-help" ref=${root}
  ></div>`;
}

/** Scrolls the nearest scrolling pane, and only when the range is out of sight. */
function reveal(root, range) {
  const box = root.closest(".scroller")?.getBoundingClientRect();
  const at = range?.getBoundingClientRect();
  if (!box || !at || (at.top >= box.top + 8 && at.bottom <= box.bottom - 8)) return;
  root.closest(".scroller").scrollBy({ top: at.top - box.top - box.height / 3 });
}

export function SpanList({ store, commands }) {
  const { answer, ui } = store;
  if (!answer.spans.length && !answer.missing.length) {
    return html`<p class="muted empty">${answer.no_errors ? t("Marked as free of errors.") : t("No spans yet. Select text, then press the number of a category.")}</p>`;
  }
  return html`<ol class="spans" aria-label=${t("Marked spans")}>
    ${answer.spans.map((span) => html`<${SpanRow} key=${span.id} span=${span} store=${store} commands=${commands} current=${span.id === ui.current} note=${ui.noteFor === span.id} cautions=${ui.cautions.get(span.id) ?? []} />`)}
    ${answer.missing.map((missing) => html`<${MissingRow} key=${missing.id} missing=${missing} store=${store} commands=${commands} note=${ui.noteFor === missing.id} />`)}
  </ol>`;
}

const SpanRow = kept(({ span, store, commands, current, note, cautions }) => {
  const category = store.category(span.category);
  const need = lacks(span, category, store.item);
  const quote = store.text.offsets.slice(span.start, span.end);
  const write = (text) => store.act({ type: "span.note", id: span.id, note: text, continues: `note ${span.id}` });
  return html`<li class="span ${current ? "current" : ""}" data-span=${span.id} style=${{ "--colour": category.colour }}>
    <button type="button" class="span-main" aria-pressed=${current} onClick=${() => commands.pick(span.id)}>
      <span class="chip">${category.label}</span>
      <q dir="auto">${shortened(quote)}</q>
    </button>
    <span class="span-more">
      ${span.evidence.map((entry) => html`<button type="button" class="link-chip" onClick=${() => commands.showEvidence(entry)}>${places(entry)}</button>`)}
      ${span.antecedent && html`<span class="link-chip" dir="auto">↩ ${shortened(store.text.offsets.slice(span.antecedent.start, span.antecedent.end), 32)}</span>`}
      ${category.severities?.length ? html`<${Severity} span=${span} category=${category} store=${store} />` : null}
      ${["evidence", "antecedent"].includes(category.needs) && html`<button type="button" class="quiet" onClick=${() => commands.link(span.id)}>${span.evidence.length || span.antecedent ? t("Change") : t("Link")}</button>`}
      <button type="button" class="quiet" onClick=${() => commands.openNote(span.id)}>${span.note ? t("Comment ●") : t("Comment")}</button>
      <button type="button" class="quiet" aria-label=${t("Remove: {what}", { what: `${category.label}, ${shortened(quote, 30)}` })} onClick=${() => commands.removeSpan(span.id)}>✕</button>
    </span>
    ${(note || span.note) && html`<${Note} label=${t("Comment on the span")} value=${span.note} write=${write} commands=${commands} focus=${note} />`}
    ${need && html`<p class="caution">${need[0].toUpperCase()}${need.slice(1)}</p>`}
    ${cautions.map((reason) => html`<p class="caution">${reason}</p>`)}
  </li>`;
});

function Severity({ span, category, store }) {
  const set = (event) => store.act({ type: "span.severity", id: span.id, severity: event.target.value || null });
  return html`<label class="severity"><span class="visually-hidden">${t("Severity")}</span>
    <select value=${span.severity ?? ""} onChange=${set}>
      <option value="">${t("severity…")}</option>
      ${category.severities.map((name) => html`<option value=${name}>${name}</option>`)}
    </select></label>`;
}

function Note({ label, value, write, commands, focus }) {
  const field = useRef(null);
  useLayoutEffect(() => {
    if (focus) field.current.focus();
  }, [focus]);
  const done = (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.ctrlKey && !event.metaKey && !event.isComposing) {
      event.preventDefault();
      commands.closeNote();
    }
  };
  return html`<input class="note" ref=${field} dir="auto" aria-label=${label} placeholder=${label} value=${value} onInput=${(event) => write(event.target.value)} onKeyDown=${done} />`;
}

/** What is missing: the sentence that says it, or, where no passage does, the annotator's words. */
function MissingRow({ missing, store, commands, note }) {
  const category = store.category(missing.category);
  const entry = missing.evidence[0];
  const said = missing.comment ?? "";
  const need = store.item.passages.length ? t("choose the sentence that says it, or write what it is") : "";
  const write = (text) => store.act({ type: "missing.note", id: missing.id, note: text, continues: `note ${missing.id}` });
  return html`<li class="span missing" style=${{ "--colour": category.colour }}>
    <button type="button" class="span-main" onClick=${() => commands.linkMissing(missing.id)}>
      <span class="chip">${category.label}</span>
      ${entry ? html`<q dir="auto">${shortened(sentenceText(store, entry))}</q>` : !said.trim() && need && html`<span class="need">${need}</span>`}
    </button>
    <span class="span-more">
      ${entry && html`<button type="button" class="link-chip" onClick=${() => commands.showEvidence(entry)}>${places(entry)}</button>`}
      <button type="button" class="quiet" onClick=${() => store.show({ noteFor: missing.id, current: null, sel: null })}>${said ? t("Comment ●") : t("Comment")}</button>
      <button type="button" class="quiet" aria-label=${t("Remove: {what}", { what: category.label })} onClick=${() => store.act({ type: "missing.remove", id: missing.id })}>✕</button>
    </span>
    ${(note || said || !store.item.passages.length) && html`<${Note} label=${t("What is missing")} value=${said} write=${write} commands=${commands} focus=${note} />`}
  </li>`;
}

function sentenceText(store, entry) {
  const passage = store.item.passages[entry.passage];
  return entry.sentences.length ? passage.sentences[entry.sentences[0]] : passage.title;
}

export function shortened(text, limit = 90) {
  const signs = [...text.replace(/\s+/g, " ")];
  return signs.length <= limit ? signs.join("") : `${signs.slice(0, limit - 1).join("").trimEnd()}…`;
}
