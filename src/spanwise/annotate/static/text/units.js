/**
 * Snapping: selections grow to the units that the server computed (graphemes, words, sub-sentences, sentences).
 * Everything counts code points. Knows nothing of the page.
 */

/** Ascending, disjoint [start, end) ranges. */
export class Units {
  /** @param {[number, number][]} ranges */
  constructor(ranges) {
    this.ranges = ranges;
  }

  /** Index of the first unit that ends behind `point`. */
  from(point) {
    let low = 0;
    let high = this.ranges.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.ranges[middle][1] <= point) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Index of the unit at `point`, or of the next one, or of the last; -1 where there is none at all. */
  at(point) {
    return Math.min(this.from(point), this.ranges.length - 1);
  }

  /** The smallest run of units that covers what [start, end) touches; null where it touches none. */
  cover(start, end) {
    const until = Math.max(end, start + 1);
    const first = this.from(start);
    if (first >= this.ranges.length || this.ranges[first][0] >= until) return null;
    let last = first;
    const beyond = this.from(until - 1);
    last = beyond < this.ranges.length && this.ranges[beyond][0] < until ? beyond : beyond - 1;
    return [this.ranges[first][0], this.ranges[Math.max(first, last)][1]];
  }

  /** The next unit edge behind (`direction` 1) or before (-1) `point`; `edge` 0 for starts, 1 for ends. */
  neighbour(point, edge, direction) {
    let index = Math.min(this.from(point), this.ranges.length - 1);
    if (index < 0) return point;
    index = Math.max(0, index - 2);
    const near = this.ranges.slice(index, index + 6).map((range) => range[edge]);
    const found = direction > 0 ? near.find((value) => value > point) : near.findLast((value) => value < point);
    return found ?? point;
  }
}

/** The units of one text by level, with snapping between them. */
export class Snapping {
  /**
   * @param {import("./offsets.js").Offsets} offsets
   * @param {{words: [number, number][], sub_sentences: [number, number][], sentences: [number, number][], joined: number[]}} segments
   */
  constructor(offsets, segments) {
    this.offsets = offsets;
    this.joined = new Set(segments.joined);
    this.levels = {
      word: new Units(segments.words),
      "sub-sentence": new Units(segments.sub_sentences),
      sentence: new Units(segments.sentences),
    };
  }

  get words() {
    return this.levels.word;
  }

  /** The grapheme boundary at `point`, or the next one behind (1) or before (-1) it. */
  boundary(point, direction) {
    let found = Math.max(0, Math.min(point, this.offsets.length));
    while (this.joined.has(found)) found += direction;
    return found;
  }

  /** [start, end) snapped outwards to `level`, without white space at its edges; null where nothing is touched. */
  snap(start, end, level) {
    const [from, to] = [Math.min(start, end), Math.max(start, end)];
    if (level === "character") {
      const edges = [this.boundary(from, -1), this.boundary(to, 1)];
      return edges[0] < edges[1] ? edges : null;
    }
    const covered = this.levels[level].cover(from, to);
    return covered && this.offsets.trim(...covered);
  }

  /** The next larger range through words, sub-sentences, sentences and the whole text. */
  grow([start, end]) {
    for (const level of ["word", "sub-sentence", "sentence"]) {
      const range = this.snap(start, end, level);
      if (range && range[1] - range[0] > end - start) return range;
    }
    return this.offsets.trim(0, this.offsets.length) ?? [start, end];
  }

  /** The next smaller range that starts where `range` starts. */
  shrink([start, end]) {
    for (const level of ["sentence", "sub-sentence", "word"]) {
      const range = this.snap(start, start + 1, level);
      if (range && range[0] >= start && range[1] < end) return range;
    }
    return [start, end];
  }
}
