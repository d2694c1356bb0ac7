/**
 * Positions in a text by code point. JavaScript counts UTF-16 units, everything that is stored counts code points.
 * Knows nothing of the page.
 */

export class Offsets {
  /** @param {string} text */
  constructor(text) {
    this.text = text;
    /** Units at which a character of two units starts, ascending. */
    this.pairs = [];
    for (let unit = 0; unit < text.length; unit += 1) {
      if (isPair(text, unit)) {
        this.pairs.push(unit);
        unit += 1;
      }
    }
    /** Length in code points. */
    this.length = text.length - this.pairs.length;
  }

  /** The code point at a unit; a unit within a character counts as its start. */
  toPoint(unit) {
    return unit - countBelow(this.pairs, unit, 0);
  }

  /** The unit at which the code point starts. */
  toUnit(point) {
    return point + countBelow(this.pairs, point, 1);
  }

  /** The text of [start, end) in code points. */
  slice(start, end) {
    return this.text.slice(this.toUnit(start), this.toUnit(end));
  }

  /** [start, end) without white space at its edges; null where nothing is left. */
  trim(start, end) {
    const text = this.slice(start, end);
    const left = text.length - text.trimStart().length;
    const right = text.length - text.trimEnd().length;
    return left === text.length ? null : [start + left, end - right];
  }
}

function isPair(text, unit) {
  const high = text.charCodeAt(unit);
  const low = text.charCodeAt(unit + 1);
  return high >= 0xd800 && high <= 0xdbff && low >= 0xdc00 && low <= 0xdfff;
}

/** How many of the ascending `pairs` lie below `limit`; with `step` 1 the k-th pair counts as k units earlier. */
function countBelow(pairs, limit, step) {
  let low = 0;
  let high = pairs.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (pairs[middle] - step * middle < limit) low = middle + 1;
    else high = middle;
  }
  return low;
}
