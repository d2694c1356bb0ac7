/** What each annotator marked, one lane each: to read, and to choose a mark in. */

import { t } from "../messages.js";
import { TextPane } from "../text/pane.js";
import { html, useLayoutEffect, useMemo, useRef } from "../vendor/preact-htm.js";

export function Lanes({ store, lanes, candidate, judge }) {
  const { key } = store.text;
  return html`<div class="lanes">${lanes.map((lane) => html`<${Lane} key=${`${lane.label} ${key}`} store=${store} lane=${lane} candidate=${candidate} judge=${judge} />`)}</div>`;
}

function Lane({ store, lane, candidate, judge }) {
  const box = useRef(null);
  const pane = useRef(null);
  const { key, offsets } = store.text;
  useLayoutEffect(() => {
    pane.current = new TextPane(box.current, offsets);
    box.current.pane = pane.current;
  }, [key]);
  const spans = useMemo(() => lane.body.spans.filter((span) => span.target === key), [key]);
  const current = candidate?.kind === "span" ? candidate.said : null;
  useLayoutEffect(() => {
    pane.current.draw(spans.map((span, index) => markOf(store, span, index, current)));
    reveal(box.current);
  }, [spans, current]);
  const chosen = (event) => {
    const point = pane.current.pointUnder(event.clientX, event.clientY);
    if (point !== null) judge.pointed(lane.label, key, point);
  };
  const free = lane.body.no_errors.includes(key);
  return html`<div class="lane"><strong>${lane.label}</strong>
    <div><div class="text" ref=${box} tabindex="0" role="region" aria-label=${t("Annotator {name}", { name: lane.label })} onClick=${chosen}></div>
    ${free ? html`<span class="tag good">${t("No errors")}</span>` : null}${lane.body.comment && html`<p class="muted small lane-comment" dir="auto">${lane.body.comment}</p>`}</div></div>`;
}

/** Scrolls the lane, and it alone, to the mark in view. */
function reveal(box) {
  const mark = box.querySelector(".current")?.getBoundingClientRect();
  const frame = box.getBoundingClientRect();
  if (mark && (mark.top < frame.top || mark.bottom > frame.bottom)) box.scrollTop += mark.top - frame.top - frame.height / 3;
}

function markOf(store, span, index, current) {
  const category = store.category(span.category);
  const same = current && span.start === current.start && span.end === current.end && span.category === current.category;
  return { id: `${index}`, start: span.start, end: span.end, colour: category.colour, label: category.label, classes: same ? ["current"] : [] };
}
