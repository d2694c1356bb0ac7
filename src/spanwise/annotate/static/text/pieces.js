/**
 * Overlapping ranges cut into pieces: each piece of text lies wholly inside or outside of every range.
 * Counts code points; knows nothing of the page.
 */

/**
 * @param {number} start @param {number} end
 * @param {{id: string, start: number, end: number}[]} ranges
 * @param {number[]} cuts more places to cut at, e.g. where paragraphs start
 * @returns {{start: number, end: number, ids: string[]}[]} pieces of [start, end), ids in the order of `ranges`
 */
export function pieces(start, end, ranges, cuts = []) {
  const inside = ranges.filter((range) => range.start < end && range.end > start);
  const edges = new Set([start, end, ...cuts.filter((cut) => cut > start && cut < end)]);
  for (const range of inside) {
    edges.add(Math.max(start, range.start));
    edges.add(Math.min(end, range.end));
  }
  const places = [...edges].sort((a, b) => a - b);
  const order = new Map(inside.map((range, index) => [range.id, index]));
  const opening = Map.groupBy(inside, (range) => Math.max(start, range.start));
  const closing = Map.groupBy(inside, (range) => Math.min(end, range.end));
  const open = new Set();
  const found = [];
  for (let index = 0; index + 1 < places.length; index += 1) {
    for (const range of closing.get(places[index]) ?? []) open.delete(range.id);
    for (const range of opening.get(places[index]) ?? []) open.add(range.id);
    const ids = [...open].sort((a, b) => order.get(a) - order.get(b));
    found.push({ start: places[index], end: places[index + 1], ids });
  }
  return found;
}

/** How many pieces two lists share at their beginnings and at their ends, so that only the rest is drawn again. */
export function unchanged(before, after, same) {
  const limit = Math.min(before.length, after.length);
  let head = 0;
  while (head < limit && same(before[head], after[head])) head += 1;
  let tail = 0;
  while (tail < limit - head && same(before.at(-1 - tail), after.at(-1 - tail))) tail += 1;
  return { head, tail };
}

/** Where the paragraphs of a text start, in code points: behind each line break, and at 0. */
export function paragraphs(offsets) {
  const starts = [0];
  for (let unit = offsets.text.indexOf("\n"); unit >= 0; unit = offsets.text.indexOf("\n", unit + 1)) {
    if (unit + 1 < offsets.text.length) starts.push(offsets.toPoint(unit + 1));
  }
  return starts;
}
