/**
 * What is worth saying about spans, and allowed all the same. It is asked for after every change, so it costs no more
 * than the spans are many: what a span says by itself is kept with it, and one sweep finds spans within others. Pure.
 */

import { t } from "../messages.js";
import { countWords } from "../text/diff.js";

/** What was found in a span alone; spans are never changed, only replaced. @type {WeakMap<object, string[]>} */
const known = new WeakMap();

/** @returns {Map<string, string[]>} reasons by the id of the span */
export function cautions(spans, text, project) {
  const categories = new Map(project.categories.map((category) => [category.name, category]));
  const found = new Map();
  for (const [span, higher] of enclosing(spans, [...categories.keys()])) {
    if (!known.has(span)) known.set(span, alone(span, text, categories.get(span.category)));
    const reasons = [...known.get(span)];
    const label = (name) => categories.get(name)?.label ?? name;
    if (higher) reasons.push(t("{category}: lies in a span marked {higher}, which comes first.", { category: label(span.category), higher: label(higher.category) }));
    if (reasons.length) found.set(span.id, reasons);
  }
  return found;
}

function alone(span, text, category) {
  const reasons = [];
  const words = countWords(text.offsets.slice(span.start, span.end));
  if (category?.min_words && words < category.min_words) {
    reasons.push(t("{category}: under {count} words; too short to train on.", { category: category.label, count: category.min_words }));
  }
  const sentence = text.snapping.snap(span.start, span.start + 1, "sentence");
  if (sentence && span.end > sentence[1]) reasons.push(t("{category}: runs over the end of a sentence.", { category: category?.label ?? span.category }));
  return reasons;
}

/** Each span with the first one around it whose category comes earlier, where there is one. */
function* enclosing(spans, order) {
  const rank = new Map(order.map((name, index) => [name, index]));
  const byStart = spans.toSorted((a, b) => a.start - b.start);
  let open = [];
  let next = 0;
  for (const span of byStart) {
    open = open.filter((other) => other.end > span.start);
    while (next < byStart.length && byStart[next].start <= span.start) open.push(byStart[next++]);
    const around = (other) => other !== span && other.end >= span.end && rank.get(other.category) < rank.get(span.category);
    yield [span, open.find(around)];
  }
}
