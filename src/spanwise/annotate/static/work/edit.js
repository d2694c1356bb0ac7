/** The Edit tab: a plain text field over a live diff, a meter, and the marked spans as a list to tick off. */

import { t } from "../messages.js";
import { countWords, refine, revert, tokens, wordDiff, wordsChanged } from "../text/diff.js";
import { newSpan } from "../state/wire.js";
import { forbidden } from "../state/checks.js";
import { onceDrawn } from "../ui/drawn.js";
import { html, useLayoutEffect, useMemo, useRef } from "../vendor/preact-htm.js";
import { shortened } from "./mark.js";

const VIEWS = ["inline", "sides", "changes"];
const VIEW_NAMES = { inline: t("Inline"), sides: t("Side by side"), changes: t("Changes only") };
const REPLACES = 0.8;

/** The diff of the response on screen, computed once per text. */
export function runsOf(store) {
  const before = store.text.offsets.text;
  const after = store.answer.correction ?? before;
  const kept = store.diffCache;
  if (kept?.before === before && kept.after === after) return kept.runs;
  const runs = wordDiff(before, after);
  store.diffCache = { before, after, runs };
  return runs;
}

export function EditTab({ store, commands }) {
  const { ui, answer } = store;
  const before = store.text.offsets.text;
  const after = answer.correction ?? before;
  const runs = runsOf(store);
  const changes = runs.flatMap((run, index) => (run.kind === "change" ? [index] : []));
  const field = useRef(null);
  useLayoutEffect(() => {
    if (field.current.value !== after) field.current.value = after;
  }, [after, store.text.key]);
  const view = ui.view ?? "inline";
  return html`<div class="edit">
    <div class="edit-head">
      <${Meter} runs=${runs} before=${before} limit=${store.project.edit_limit} />
      <span class="grow"></span>
      <div role="group" aria-label=${t("How changes are shown")} class="switch">
        ${VIEWS.map((name) => html`<button type="button" aria-pressed=${view === name} onClick=${() => store.show({ view: name })}>${VIEW_NAMES[name]}</button>`)}
      </div>
      <button type="button" class="quiet" disabled=${!changes.length} onClick=${commands.reset}>${t("Take all back")}</button>
    </div>
    <label class="visually-hidden" for="correction">${t("The response, edited")}</label>
    <textarea id="correction" data-pane ref=${field} dir="auto" spellcheck="true" onInput=${(event) => commands.typed(event.target.value)} onPaste=${commands.pasted}></textarea>
    ${answer.correction !== null && !answer.correction.trim() && before.trim() && html`<label class="reason">${t("Why is nothing left?")}
      <input value=${answer.empty_reason} onInput=${(event) => store.act({ type: "edit.reason", reason: event.target.value, continues: "reason" })} /></label>`}
    <div class="diff ${view}" id="diff" data-pane tabindex="0" role="region" aria-label=${t("Changes, {count}", { count: changes.length })}>
      ${view === "sides" ? html`<${Sides} runs=${runs} />` : runs.map((run, index) => html`<${Run} key=${index} run=${run} alone=${view === "changes"} current=${changes[ui.change ?? -1] === index}
        revert=${() => commands.revertRun(index)} />`)}
    </div>
    <${Ticks} store=${store} runs=${runs} commands=${commands} />
  </div>`;
}

function Meter({ runs, before, limit }) {
  const words = Math.max(countWords(before), 1);
  const changed = wordsChanged(runs);
  const share = changed / words;
  const over = limit && share > limit;
  return html`<div class="meter ${over ? "over" : ""}">
    <progress max="1" value=${Math.min(share, 1)} aria-label=${t("Share of words changed")}></progress>
    <span>${t("{changed} of {words} words changed ({share} %)", { changed, words, share: Math.round(share * 100) })}${limit ? html`<span class="muted">, ${t("at most {share} % wished", { share: Math.round(limit * 100) })}</span>` : null}</span>
    ${over && html`<strong class="caution">${t("More than a minimal edit")}</strong>`}
  </div>`;
}

function Run({ run, alone, current, revert: takeBack }) {
  if (run.kind === "same") {
    if (!alone) return html`<span>${run.before}</span>`;
    const words = run.before.trim();
    return html`<span class="muted">${words.length > 40 ? ` …${words.slice(-20)} ` : run.before}</span>`;
  }
  const { head, tail } = refine(run.before, run.after);
  return html`<span class="change ${current ? "current" : ""}" data-change>
    ${run.before && html`<del><${Inner} text=${run.before} head=${head} tail=${tail} plain=${!run.after} /></del>`}${run.after && html`<ins><${Inner} text=${run.after} head=${head} tail=${tail} plain=${!run.before} /></ins>`}<button type="button" class="revert" title=${t("Take this change back (Alt+Backspace)")} aria-label=${t("Take back: {text}", { text: shortened(run.before || run.after, 40) })} onClick=${takeBack}>↶</button>
  </span>`;
}

/** The part that differs within a replaced run stands out. */
function Inner({ text, head, tail, plain }) {
  if (plain || (!head && !tail)) return text;
  return html`${text.slice(0, head)}<b>${text.slice(head, text.length - tail)}</b>${text.slice(text.length - tail)}`;
}

function Sides({ runs }) {
  const side = (key, tag) => runs.map((run) => (run.kind === "same" ? run.before : run[key] && (tag === "del" ? html`<del>${run[key]}</del>` : html`<ins>${run[key]}</ins>`)));
  return html`<div class="side"><h3>${t("Before")}</h3><div class="text">${side("before", "del")}</div></div>
    <div class="side"><h3>${t("After")}</h3><div class="text">${side("after", "ins")}</div></div>`;
}

/** Spans to mend: each ticks itself once its text was changed. */
function Ticks({ store, runs, commands }) {
  const { spans } = store.answer;
  const state = useMemo(() => spans.map((span) => [span, isChanged(store, span, runs)]), [spans, runs]);
  if (!spans.length) return null;
  const done = state.filter(([, changed]) => changed).length;
  return html`<section class="ticks" aria-label=${t("Marked spans to mend")}>
    <h3>${t("Marked spans: {done} of {total} mended", { done, total: spans.length })}</h3>
    <ul>${state.map(([span, changed]) => html`<li class=${changed ? "done" : ""} style=${{ "--colour": store.category(span.category).colour }}>
      <button type="button" onClick=${() => commands.goTo(span)}><span class="tick" aria-hidden="true">${changed ? "✓" : "○"}</span><span class="visually-hidden">${changed ? t("mended") : t("open")}:</span> <span class="chip">${store.category(span.category).label}</span> <q dir="auto">${shortened(store.text.offsets.slice(span.start, span.end), 60)}</q></button>
    </li>`)}</ul>
  </section>`;
}

function isChanged(store, span, runs) {
  const start = store.text.offsets.toUnit(span.start);
  const end = store.text.offsets.toUnit(span.end);
  return runs.some((run) => run.kind === "change" && run.from < end && run.from + Math.max(run.before.length, 1) > start);
}

export function editCommands(store, commands) {
  const write = (text, continues) => store.act({ type: "edit", text, continues });
  const changes = () => runsOf(store).flatMap((run, index) => (run.kind === "change" ? [index] : []));
  const edit = {
    /** One pause in typing is one step of undo. */
    typed(text) {
      const now = Date.now();
      if (now - (store.lastTyped ?? 0) > 1000) store.typing = now;
      store.lastTyped = now;
      write(text, `typing ${store.ui.response} ${store.typing}`);
    },
    pasted(event) {
      const pasted = event.clipboardData?.getData("text") ?? "";
      const field = event.target;
      const replaced = field.selectionEnd - field.selectionStart;
      const all = field.value.length;
      if (all > 40 && pasted.length > 20 && replaced > REPLACES * all) commands.say(t("This replaces the response. A minimal edit changes as little as possible."));
    },
    revertRun(index) {
      write(revert(runsOf(store), index));
      commands.say(t("Change taken back."));
    },
    reset: () => write(null),
    step(direction) {
      const all = changes();
      if (!all.length) return;
      const next = ((store.ui.change ?? (direction > 0 ? -1 : 0)) + direction + all.length) % all.length;
      store.show({ change: next });
      show(store, runsOf(store)[all[next]]);
    },
    revertHere() {
      const all = changes();
      if (!all.length) return;
      const index = store.ui.change === undefined ? caretChange(runsOf(store), all) : all[Math.min(store.ui.change, all.length - 1)];
      if (index !== undefined) edit.revertRun(index);
    },
    nextView() {
      const at = VIEWS.indexOf(store.ui.view ?? "inline");
      store.show({ view: VIEWS[(at + 1) % VIEWS.length] });
    },
    goTo(span) {
      const runs = runsOf(store);
      const unit = store.text.offsets.toUnit(span.start);
      const run = runs.findLast((one) => one.from <= unit) ?? runs[0];
      const inside = run.kind === "same" ? unit - run.from : 0;
      const length = run.kind === "same" ? store.text.offsets.toUnit(span.end) - unit : run.after.length;
      const field = document.getElementById("correction");
      field.focus();
      field.setSelectionRange(run.to + inside, run.to + inside + length);
    },
    /** Each deleted or replaced run is offered as an unlabelled span: it becomes the selection of the Mark tab. */
    offer() {
      const open = changes().map((index) => runsOf(store)[index]).filter((run) => tokens(run.before).some((one) => one.trim()));
      const ranges = open
        .map((run) => [store.text.offsets.toPoint(run.from), store.text.offsets.toPoint(run.from + run.before.length)])
        .map(([start, end]) => store.text.snapping.snap(start, end, "word"))
        .filter((range) => range && !store.answer.spans.some((span) => span.start < range[1] && range[0] < span.end));
      const unlabelled = ranges.filter((range) => !forbidden(store.project, store.answer.spans, newSpan(...range, "")));
      if (!unlabelled.length) return commands.say(t("Every change lies in a marked span already."));
      const [start, end] = unlabelled[0];
      store.show({ tab: "mark", sel: { start, end, anchor: [start, end] }, current: null });
      onceDrawn(() => document.getElementById("response")?.focus());
      return commands.say(unlabelled.length > 1 ? t("Changed here; {count} more after it (Alt+S).", { count: unlabelled.length - 1 }) : t("Changed here: choose a category."));
    },
  };
  return edit;
}

function caretChange(runs, all) {
  const caret = document.getElementById("correction")?.selectionStart ?? 0;
  return all.findLast((index) => runs[index].to <= caret) ?? all[0];
}

function show(store, run) {
  onceDrawn(() => document.querySelector("#diff .change.current")?.scrollIntoView({ block: "nearest" }));
  const field = document.getElementById("correction");
  if (document.activeElement === field) field.setSelectionRange(run.to, run.to + run.after.length);
}

export function editKeys(store, edit) {
  const editing = (work) => () => (store.ui.tab === "edit" ? work() : false);
  return {
    "change.next": editing(() => edit.step(1)), "change.previous": editing(() => edit.step(-1)),
    "change.revert": editing(edit.revertHere), "edit.reset": editing(edit.reset), "edit.view": editing(edit.nextView),
    "edit.spans": () => (store.project.tasks.includes("spans") && ["edit", "mark"].includes(store.ui.tab) ? edit.offer() : false),
  };
}
