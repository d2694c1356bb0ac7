/**
 * What changed between two texts, word by word (Myers 1986), for the live view of an edit. The stored operations are
 * computed by the server. Works on UTF-16 strings; knows nothing of the page.
 */

const TOKEN = /\s+|[\p{L}\p{N}\p{M}_'’-]+|[^\s\p{L}\p{N}\p{M}_]/gu;
/** Letters of scripts that put no spaces between words; the same as in text/scripts.py of the server. */
const UNSPACED =
  /(?=[\p{L}\p{M}\u3007])[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Yi}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}\u3005-\u3007\u30fc]/u;
const GRAPHEMES = new Intl.Segmenter("und", { granularity: "grapheme" });
/** Vowels of Thai, Lao and Burmese that are graphemes of their own and still belong to the letter before or behind. */
const LEADS = /^[\u0e40-\u0e44\u0ec0-\u0ec4]$/u;
const CLINGS = /^[\u0e30\u0e32\u0e33\u0e45\u0eb0\u0eb2\u0eb3\p{M}]/u;
const MOST_STEPS = 2000;

/** Words, runs of white space and single signs; joined they are the text again. */
export function tokens(text) {
  return (text.match(TOKEN) ?? []).flatMap((token) => (UNSPACED.test(token) ? units(token) : [token]));
}

/** How long a text is in words: runs between white space, cut into units where a script writes no spaces. */
export function countWords(text) {
  const runs = text.split(/\s+/u).filter(Boolean);
  if (!UNSPACED.test(text)) return runs.length;
  const pieces = runs.flatMap((run) => (UNSPACED.test(run) ? units(run) : [run]));
  return pieces.filter((piece) => /[\p{L}\p{N}]/u.test(piece)).length;
}

/** Graphemes of scripts without spaces, each with its vowels, a run of katakana as one, and runs of other letters. */
function units(text) {
  const found = [];
  for (const { segment } of GRAPHEMES.segment(text)) {
    const last = found.at(-1);
    if (last !== undefined && joins(last, segment)) found[found.length - 1] = last + segment;
    else found.push(segment);
  }
  return found;
}

function joins(before, grapheme) {
  const kana = /^[\p{Script=Katakana}\u30fc]/u;
  const word = (piece) => /^[\p{L}\p{N}\p{M}_]/u.test(piece) && !UNSPACED.test(piece);
  if (kana.test(before) || kana.test(grapheme)) return kana.test(before) && kana.test(grapheme);
  if (UNSPACED.test(before) && CLINGS.test(grapheme)) return true;
  if (UNSPACED.test(grapheme) && LEADS.test(before)) return true;
  return word(before) && word(grapheme);
}

/**
 * Runs of equal and changed text.
 * @returns {{kind: "same" | "change", before: string, after: string, from: number, to: number}[]}
 * `from` and `to` are where the run starts in the old and in the new text.
 */
export function wordDiff(before, after) {
  const a = tokens(before);
  const b = tokens(after);
  return join(merge(operations(a, b)));
}

/** How many words of the old text are gone or replaced, or of the new one added: the larger of the two per run. */
export function wordsChanged(runs) {
  return runs.reduce((sum, run) => {
    if (run.kind === "same") return sum;
    return sum + Math.max(countWords(run.before), countWords(run.after), run.before || run.after ? 1 : 0);
  }, 0);
}

/** The new text with one run as it was before. */
export function revert(runs, index) {
  return runs.map((run, place) => (place === index ? run.before : run.after)).join("");
}

/** Within a replaced run: what both sides share at the start and at the end, where that is most of it. */
export function refine(before, after) {
  const limit = Math.min(before.length, after.length);
  let head = 0;
  while (head < limit && before[head] === after[head]) head += 1;
  let tail = 0;
  while (tail < limit - head && before.at(-1 - tail) === after.at(-1 - tail)) tail += 1;
  if (2 * (head + tail) < Math.max(before.length, after.length)) return { head: 0, tail: 0 };
  return { head: whole(before, head), tail: wholeTail(before, tail) };
}

/** Never cut a character of two units or a mark from its letter. */
function whole(text, length) {
  while (length > 0 && /^[\p{M}\u200d\udc00-\udfff]/u.test(text.slice(length))) length -= 1;
  return length > 0 && /[\ud800-\udbff]/.test(text[length - 1]) ? length - 1 : length;
}

function wholeTail(text, length) {
  while (length > 0 && /^[\p{M}\u200d\udc00-\udfff]/u.test(text.slice(text.length - length))) length -= 1;
  return length;
}

function operations(a, b) {
  let head = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) head += 1;
  let tail = 0;
  while (tail < a.length - head && tail < b.length - head && a.at(-1 - tail) === b.at(-1 - tail)) tail += 1;
  const middle = shortest(a.slice(head, a.length - tail), b.slice(head, b.length - tail));
  return slid([
    ...a.slice(0, head).map((text) => ["=", text]),
    ...middle,
    ...a.slice(a.length - tail).map((text) => ["=", text]),
  ]);
}

/** What is only deleted or only added stands as far right as it can: "The end. " rather than ". The end". */
function slid(steps) {
  let start = 0;
  while (start < steps.length) {
    const sign = steps[start][0];
    let end = start;
    while (end < steps.length && steps[end][0] === sign) end += 1;
    const alone = sign !== "=" && (start === 0 || steps[start - 1][0] === "=");
    while (alone && end < steps.length && steps[end][0] === "=" && steps[end][1] === steps[start][1]) {
      steps[start][0] = "=";
      steps[end][0] = sign;
      start += 1;
      end += 1;
    }
    start = end;
  }
  return steps;
}

/** Myers' greedy algorithm; texts that share next to nothing are one replacement. */
function shortest(a, b) {
  const replaced = [...a.map((text) => ["-", text]), ...b.map((text) => ["+", text])];
  if (!a.length || !b.length) return replaced;
  const offset = a.length + b.length + 1;
  const reach = new Int32Array(2 * offset + 1);
  const trace = [];
  for (let steps = 0; steps <= Math.min(a.length + b.length, MOST_STEPS); steps += 1) {
    trace.push(reach.slice(offset - steps - 1, offset + steps + 2));
    for (let k = -steps; k <= steps; k += 2) {
      const down = k === -steps || (k !== steps && reach[offset + k - 1] < reach[offset + k + 1]);
      let x = down ? reach[offset + k + 1] : reach[offset + k - 1] + 1;
      while (x < a.length && x - k < b.length && a[x] === b[x - k]) x += 1;
      reach[offset + k] = x;
      if (x >= a.length && x - k >= b.length) return backtrack(a, b, trace);
    }
  }
  return replaced;
}

function backtrack(a, b, trace) {
  const found = [];
  let x = a.length;
  let y = b.length;
  for (let steps = trace.length - 1; steps >= 0; steps -= 1) {
    const at = (k) => trace[steps][k + steps + 1];
    const k = x - y;
    const down = k === -steps || (k !== steps && at(k - 1) < at(k + 1));
    const previous = down ? k + 1 : k - 1;
    const fromX = at(previous);
    const fromY = fromX - previous;
    while (x > fromX && y > fromY) {
      x -= 1;
      y -= 1;
      found.push(["=", a[x]]);
    }
    if (steps) found.push(down ? ["+", b[fromY]] : ["-", a[fromX]]);
    x = fromX;
    y = fromY;
  }
  return found.reverse();
}

/** Runs of one kind; white space alone between two changes belongs to the change. */
function merge(steps) {
  const runs = [];
  for (const [sign, text] of steps) {
    const kind = sign === "=" ? "same" : "change";
    let run = runs.at(-1);
    if (!run || run.kind !== kind) {
      run = { kind, before: "", after: "" };
      runs.push(run);
    }
    if (sign !== "+") run.before += text;
    if (sign !== "-") run.after += text;
  }
  return runs.reduce((kept, run, index) => {
    const bridge = run.kind === "same" && !run.before.trim() && !run.before.includes("\n");
    const inner = bridge && index > 0 && index < runs.length - 1;
    const last = kept.at(-1);
    if (last && last.kind === "change" && (inner || run.kind === "change")) {
      last.before += run.before;
      last.after += run.after;
    } else {
      kept.push({ ...run });
    }
    return kept;
  }, []);
}

function join(runs) {
  let from = 0;
  let to = 0;
  for (const run of runs) {
    run.from = from;
    run.to = to;
    from += run.before.length;
    to += run.after.length;
  }
  return runs;
}
