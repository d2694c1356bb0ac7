/**
 * Markdown as a look of its source: which stretches of a text are headings, code, tables, lists, strong, and which are
 * only signs. Every character stays where it is, so that offsets into what is seen are offsets into what is stored.
 * Works on UTF-16 strings; knows nothing of the page.
 */

const FENCE = /^\s{0,3}(`{3,}|~{3,})/;
const HEADING = /^\s{0,3}#{1,6}\s+/;
const QUOTE = /^\s{0,3}>\s?/;
const BULLET = /^\s*(?:[-*+]|\d{1,9}[.)])\s+/;
const RULE = /^\s*\|?\s*:?-{2,}:?\s*(?:\|\s*:?-{2,}:?\s*)*\|?\s*$/;
const ROW = /^\s*\|.*\|\s*$/;
/** Each looks no further than a bounded way, so that no text takes longer than its length. */
const INLINE = [
  [/(`{1,3})([^`\n]{1,2000})(\1)(?!`)/g, "code"],
  [/(\*\*|__)(?=\S)([^\n]{0,500}?\S)(\1)/g, "strong"],
  [/(?<![\w*])(\*|_)(?=[^\s*_])([^*_\n]{0,500}?[^\s*_])(\1)(?![\w*])/g, "em"],
  [/(\[)([^[\]\n]{1,300})(\]\([^)\s]{0,2000}\))/g, "link"],
];

/**
 * @param {string} text
 * @returns {{lines: string[], ranges: {start: number, end: number, name: string}[]}} the kind of each line, and the
 * stretches within lines that look otherwise, in units of the text
 */
export function markup(text) {
  const lines = [];
  const ranges = [];
  let fence = "";
  let at = 0;
  for (const line of text.split("\n")) {
    const opening = FENCE.exec(line)?.[1] ?? "";
    if (fence || opening) {
      const closes = fence && opening.startsWith(fence);
      lines.push(fence && !closes ? "code" : "fence");
      fence = fence ? (closes ? "" : fence) : opening;
    } else {
      lines.push(lineOf(line, at, ranges));
    }
    at += line.length + 1;
  }
  return { lines, ranges };
}

function lineOf(line, at, ranges) {
  const sign = (length) => ranges.push({ start: at, end: at + length, name: "sign" });
  const heading = HEADING.exec(line);
  const quote = QUOTE.exec(line);
  const bullet = BULLET.exec(line);
  if (heading) sign(heading[0].length);
  if (quote) sign(quote[0].length);
  if (bullet) ranges.push({ start: at, end: at + bullet[0].length, name: "bullet" });
  const table = ROW.test(line);
  if (RULE.test(line) && line.includes("-")) {
    sign(line.length);
    return line.includes("|") ? "table" : "rule";
  }
  inline(line, at, ranges);
  if (table) return "table";
  return heading ? "heading" : quote ? "quote" : bullet ? "item" : "";
}

/** Code first: what opens or closes inside it is no sign. */
function inline(line, at, ranges) {
  const code = new Uint8Array(line.length);
  for (const [pattern, name] of INLINE) {
    for (const { 0: all, 1: opening, 3: closing, index: start } of line.matchAll(pattern)) {
      const end = start + all.length;
      if (code[start] || code[end - 1]) continue;
      if (name === "code") code.fill(1, start, end);
      const inner = [start + opening.length, end - closing.length];
      ranges.push({ start: at + start, end: at + inner[0], name: "sign" }, { start: at + inner[0], end: at + inner[1], name }, { start: at + inner[1], end: at + end, name: "sign" });
    }
  }
}
