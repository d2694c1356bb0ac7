/**
 * What changed between two texts, word by word (Myers 1986), for the live view of an edit. The stored operations are
 * computed by the server. Works on UTF-16 strings; knows nothing of the page.
 */

const TOKEN = /\s+|[\p{L}\p{N}\p{M}_'’-]+|[^\s\p{L}\p{N}\p{M}_]/gu;
const MOST_STEPS = 2000;

/** Words, runs of white space and single signs; joined they are the text again. */
export function tokens(text) {
  return text.match(TOKEN) ?? [];
}

export function countWords(text) {
  return text.split(/\s+/u).filter(Boolean).length;
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
