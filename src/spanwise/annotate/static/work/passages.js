/** Prompt and passages with numbered sentences; in evidence mode a list that links sentences to a span. */

import { t } from "../messages.js";
import { visible } from "../text/invisible.js";
import { html, useEffect, useLayoutEffect, useMemo, useRef } from "../vendor/preact-htm.js";
import { hasSentence, places, sentenceId, spokenPlace, walkOrder } from "./evidence.js";

/** The evidence that is being chosen, or that of the span in view. */
function linked(store) {
  const { mode, current } = store.ui;
  if (mode?.kind === "evidence" && mode.missing) {
    return store.answer.missing.find((missing) => missing.id === mode.missing)?.evidence ?? [];
  }
  return store.answer.spans.find((span) => span.id === current)?.evidence ?? store.ui.evidence ?? [];
}

export function Passages({ store, commands }) {
  const { ui, item } = store;
  const mode = ui.mode?.kind === "evidence" ? ui.mode : null;
  const evidence = linked(store);
  const missing = useMemo(() => dots(store), [store.answer.missing]);
  const span = store.currentSpan;
  const closest = useMemo(() => (mode && !mode.missing ? walkOrder(store).closest : []), [Boolean(mode), span?.start, span?.end, item]);
  const list = useRef(null);
  useEffect(() => {
    if (!mode?.cursor) return;
    document.getElementById(sentenceId(mode.cursor))?.scrollIntoView({ block: "nearest" });
  }, [mode?.cursor]);
  useLayoutEffect(() => {
    if (mode) list.current.focus({ preventScroll: true });
  }, [Boolean(mode), mode?.missing]);
  const cursor = mode?.cursor;
  const needle = (ui.search ?? "").trim().toLowerCase();
  const searched = (event) => store.show({ search: event.target.value });
  const option = (one) => html`<${Sentence} key=${sentenceId(one)} one=${one} on=${hasSentence(evidence, one)} active=${cursor && sentenceId(cursor) === sentenceId(one)}
    near=${closest.indexOf(closest.find((other) => sentenceId(other) === sentenceId(one))) + 1} dot=${missing.get(sentenceId(one))} needle=${needle} choose=${mode ? commands.toggleSentence : commands.tapSentence} />`;
  return html`
    ${mode && html`<${EvidenceHelp} mode=${mode} store=${store} commands=${commands} evidence=${evidence} />`}
    ${item.passages.length > 0 && html`<label class="search"><span class="visually-hidden">${t("Search the passages")}</span>
      <input id="passage-search" type="search" placeholder=${t("Search passages")} value=${ui.search ?? ""} onInput=${searched} /></label>`}
    <div class="passages" id="passages" ref=${list} data-pane tabindex="0" role="listbox" aria-multiselectable="true" aria-label=${t("Passages")}
      aria-activedescendant=${cursor ? sentenceId(cursor) : undefined}>
      ${item.passages.map((passage, number) => html`<div role="group" class="passage" aria-label=${t("Passage {number}", { number: number + 1 })}>
        ${passage.title ? option({ passage: number, sentence: -1, text: passage.title }) : html`<div class="passage-number" role="presentation">${number + 1}</div>`}
        ${passage.sentences.map((text, sentence) => option({ passage: number, sentence, text }))}
      </div>`)}
      ${!item.passages.length && html`<div role="option" aria-selected="false" aria-disabled="true" class="muted none">${t("This item has no passages.")}</div>`}
    </div>`;
}

function Sentence({ one, on, active, near, dot, needle, choose }) {
  const classes = ["sentence", one.sentence < 0 && "title", on && "on", active && "active", near > 0 && "near", needle && !one.text.toLowerCase().includes(needle) && "unfound"];
  const number = spokenPlace(one);
  return html`<div id=${sentenceId(one)} role="option" aria-selected=${on} class=${classes.filter(Boolean).join(" ")} onClick=${() => choose(one)}>
    <span class="number" title=${near ? t("{place}. in likeness to the span", { place: near }) : null}>${number}</span><span class="sentence-text" dir="auto">${visible(one.text)}</span>
    ${dot && html`<span class="dot" style=${{ "--colour": dot.colour }} title=${dot.label}><span class="visually-hidden">${dot.label}</span></span>`}
  </div>`;
}

/** Dots beside the sentences that say what is missing. */
function dots(store) {
  const found = new Map();
  for (const missing of store.answer.missing) {
    for (const entry of missing.evidence) {
      const sentences = [...(entry.title ? [-1] : []), ...entry.sentences];
      for (const sentence of sentences) found.set(sentenceId({ passage: entry.passage, sentence }), store.category(missing.category));
    }
  }
  return found;
}

function EvidenceHelp({ mode, store, commands, evidence }) {
  const subject = mode.missing ? t("what is missing") : t("the span");
  const chosen = evidence.map(places).join(", ") || t("none yet");
  return html`<div class="mode-help" role="status">
    <strong>${t("Evidence for {subject}", { subject })}</strong>: ${chosen}${mode.typed && html` · ${t("typing")} <kbd>${mode.typed}</kbd>`}
    <span class="muted"> ${t("↑ ↓ and Space, or type 2.4. Enter ends.")}</span>
    <button type="button" class="small-button" onClick=${commands.leave}>${t("Done")}</button>
  </div>`;
}
