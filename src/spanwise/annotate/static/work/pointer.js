/**
 * Selecting with the mouse, a pen or a finger: the browser selects, we snap what it selected, while dragging too.
 * A click picks the span or word under it, a double click selects a word, a triple click a sentence.
 */

import { select } from "./selection.js";

const STILL = 4;

/** @returns {() => void} stops following */
export function followPointer(root, store, commands, getPane) {
  let began = null;
  let dragged = false;

  const snapped = (event) => {
    const range = chosenPoints(root, getPane(), store.text.offsets.length);
    if (!range || range[0] === range[1]) return null;
    return store.text.snapping.snap(...range, event?.altKey || began?.characters ? "character" : store.project.snap);
  };
  const down = (event) => {
    dragged = false;
    if (event.button === 0) began = { x: event.clientX, y: event.clientY, characters: event.altKey, moved: false };
  };
  const move = (event) => {
    if (began && Math.hypot(event.clientX - began.x, event.clientY - began.y) > STILL) began.moved = true;
  };
  const changed = () => {
    if (!began?.moved) return;
    const range = snapped();
    if (range) store.show({ sel: select(range), byKeyboard: false });
  };
  const up = (event) => {
    if (!began) return;
    const range = began.moved ? snapped(event) : null;
    dragged = began.moved;
    began = null;
    if (!range) return;
    document.getSelection().removeAllRanges();
    root.focus({ preventScroll: true });
    commands.selected(range);
  };
  const click = (event) => {
    if (dragged) return;
    const point = getPane().pointUnder(event.clientX, event.clientY);
    document.getSelection().removeAllRanges();
    if (point === null) return;
    const level = { 2: "word", 3: "sentence" }[event.detail];
    if (level) commands.selected(store.text.snapping.snap(point, point + 1, level));
    else if (event.detail === 1) commands.clicked(point);
  };
  const listeners = [
    [root, "pointerdown", down], [document, "pointermove", move], [document, "selectionchange", changed],
    [document, "pointerup", up], [root, "click", click],
  ];
  for (const [target, name, listener] of listeners) target.addEventListener(name, listener);
  return () => listeners.forEach(([target, name, listener]) => target.removeEventListener(name, listener));
}

/** What the browser has selected, in code points; a drag that ended outside the text ends at its beginning or end. */
function chosenPoints(root, pane, length) {
  const chosen = document.getSelection();
  if (!chosen.rangeCount || !root.contains(chosen.anchorNode)) return null;
  const from = pane.pointAt(chosen.anchorNode, chosen.anchorOffset);
  const before = root.compareDocumentPosition(chosen.focusNode) & Node.DOCUMENT_POSITION_PRECEDING;
  const outside = before ? 0 : length;
  const to = root.contains(chosen.focusNode) ? pane.pointAt(chosen.focusNode, chosen.focusOffset) : outside;
  return from === null || to === null ? null : [Math.min(from, to), Math.max(from, to)];
}
