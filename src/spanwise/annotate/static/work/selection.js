/** Moves a selection over the units of a text, as the keyboard asks for it. Pure; counts code points. */

/** A selection remembers the unit that it began with: `{start, end, anchor: [start, end]}`. */
export function select(range) {
  return range && { start: range[0], end: range[1], anchor: range };
}

/** The word before (-1) or behind (1) the selection; the first word where there is none. */
export function moveByWord(snapping, sel, direction) {
  const { ranges } = snapping.words;
  if (!ranges.length) return sel;
  if (!sel) return select(ranges[0]);
  const index =
    direction > 0 ? snapping.words.from(sel.end) : snapping.words.at(sel.start) - 1;
  return select(ranges[Math.max(0, Math.min(index, ranges.length - 1))]);
}

export function extendByWord(snapping, sel, direction) {
  if (!sel) return moveByWord(snapping, sel, direction);
  return stretch(sel, direction, (point, edge) => snapping.words.neighbour(point, edge, direction));
}

/** The character before or behind the selection. */
export function moveByCharacter(snapping, sel, direction) {
  const { length } = snapping.offsets;
  if (!length) return sel;
  if (!sel) return select([0, snapping.boundary(1, 1)]);
  if (direction > 0) {
    const start = sel.end >= length ? sel.start : sel.end;
    return select([start, snapping.boundary(start + 1, 1)]);
  }
  const end = sel.start === 0 ? snapping.boundary(1, 1) : sel.start;
  return select([snapping.boundary(end - 1, -1), end]);
}

export function extendByCharacter(snapping, sel, direction) {
  if (!sel) return moveByCharacter(snapping, sel, direction);
  return stretch(sel, direction, (point) => snapping.boundary(point + direction, direction));
}

/** Moves the edge that was moved last, never past the unit that the selection began with. */
function stretch(sel, direction, next) {
  const { start, end, anchor } = sel;
  if (direction > 0) {
    if (start < anchor[0]) return { start: Math.min(next(start, 0), anchor[0]), end, anchor };
    return { start, end: next(end, 1), anchor };
  }
  if (end > anchor[1]) return { start, end: Math.max(next(end, 1), anchor[1]), anchor };
  return { start: next(start, 0), end, anchor };
}

/** First (-1) or last (1) word of the text, wherever the selection is. */
export function moveToEdge(snapping, sel, direction) {
  const { ranges } = snapping.words;
  return select((direction < 0 ? ranges[0] : ranges.at(-1)) ?? null);
}
