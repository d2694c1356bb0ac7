/** Ranges painted without touching the text (CSS Custom Highlights); where there are none, callers mark pieces instead. */

export const supported = typeof CSS !== "undefined" && "highlights" in CSS && typeof Highlight === "function";

/** @param {string} name @param {(Range | null)[]} ranges */
export function paint(name, ranges) {
  if (!supported) return;
  const real = ranges.filter(Boolean);
  if (real.length) CSS.highlights.set(name, new Highlight(...real));
  else CSS.highlights.delete(name);
}
