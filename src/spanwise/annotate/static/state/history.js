/**
 * Undo without end: the document is what its log of actions folds to, and undoing moves a cursor along the log.
 * The log travels inside the draft, so that undo survives a reload. Knows nothing of what the actions mean.
 */

const MOST_BYTES = 400_000;

/** @param {(state: any, action: any) => any} reduce @param {any} base */
export function begin(reduce, base, log = [], cursor = log.length) {
  return { reduce, base, log, cursor, state: log.slice(0, cursor).reduce(reduce, base) };
}

/** Applies an action; one that changes nothing leaves no trace, one that continues the last one replaces it. */
export function apply(history, action) {
  const state = history.reduce(history.state, action);
  if (state === history.state) return history;
  const past = history.log.slice(0, history.cursor);
  if (action.continues && past.at(-1)?.continues === action.continues) past.pop();
  const log = [...past, action];
  return { ...history, log, cursor: log.length, state };
}

export function undo(history) {
  return history.cursor ? begin(history.reduce, history.base, history.log, history.cursor - 1) : history;
}

export function redo(history) {
  if (history.cursor >= history.log.length) return history;
  return begin(history.reduce, history.base, history.log, history.cursor + 1);
}

export const canUndo = (history) => history.cursor > 0;
export const canRedo = (history) => history.cursor < history.log.length;

/** What a draft keeps; of a log that has grown very long the oldest steps are folded into the base. */
export function stored(history) {
  let { base, log, cursor } = history;
  while (cursor > 1 && JSON.stringify(log).length > MOST_BYTES) {
    const folded = Math.ceil(cursor / 2);
    base = log.slice(0, folded).reduce(history.reduce, base);
    log = log.slice(folded);
    cursor -= folded;
  }
  return { base, log, cursor };
}

/** The history that `stored` kept. */
export function restored(reduce, kept) {
  return begin(reduce, kept.base, kept.log, kept.cursor);
}
