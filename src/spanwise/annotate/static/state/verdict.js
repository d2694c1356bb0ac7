/**
 * What adjudication decides: every different mark and every different comparison that people made, and the body that
 * the decisions make. Pure.
 */

import { newId } from "./wire.js";

const sameSpan = (a, b) => a.target === b.target && a.start === b.start && a.end === b.end && a.category === b.category;
const sameMissing = (a, b) => a.target === b.target && a.category === b.category && placesOf(a) === placesOf(b);
const placesOf = ({ evidence }) => `${evidence.passage} ${evidence.title} ${[...evidence.sentences].sort((x, y) => x - y)}`;
const KINDS = { span: ["spans", sameSpan], missing: ["missing", sameMissing] };

/** Whether two candidates' marks are one and the same. */
export const same = (kind, a, b) => KINDS[kind][1](a, b);

/** Every different mark with who made it; what all agree on is accepted to begin with. */
export function candidatesOf(lanes, agreed) {
  const spans = gathered("span", lanes, agreed);
  return [...spans.sort((a, b) => inOrder(a.said, b.said)), ...gathered("missing", lanes, agreed)];
}

function gathered(kind, lanes, agreed) {
  const [list] = KINDS[kind];
  const found = [];
  for (const lane of lanes) {
    for (const said of lane.body[list]) {
      const known = found.find((one) => same(kind, one.said, said));
      if (known && !known.by.includes(lane.label)) known.by.push(lane.label);
      const taken = agreed[list].some((one) => same(kind, one, said));
      if (!known) found.push({ kind, said, by: [lane.label], verdict: taken ? "accepted" : null });
    }
  }
  return found;
}

function inOrder(a, b) {
  if (a.target !== b.target) return a.target < b.target ? -1 : 1;
  return a.start - b.start || a.end - b.end;
}

/**
 * For each aspect that was compared, the different ways in which people did; where there is one alone it is chosen.
 * @returns {{list: "preferences" | "rankings", aspect: string, ways: {by: string[], said: any[]}[], chosen: number | null}[]}
 */
export function comparisonsOf(lanes) {
  const found = [];
  for (const list of ["preferences", "rankings"]) {
    const aspects = new Set(lanes.flatMap((lane) => lane.body[list].map((one) => one.aspect)));
    for (const aspect of aspects) {
      const ways = waysOf(list, aspect, lanes);
      found.push({ list, aspect, ways, chosen: ways.length === 1 ? 0 : null });
    }
  }
  return found;
}

function waysOf(list, aspect, lanes) {
  const ways = new Map();
  for (const lane of lanes) {
    const said = lane.body[list].filter((one) => one.aspect === aspect).map(straight);
    if (!said.length) continue;
    const key = JSON.stringify(said.map((one) => JSON.stringify(one)).sort());
    if (ways.has(key)) ways.get(key).by.push(lane.label);
    else ways.set(key, { by: [lane.label], said });
  }
  return [...ways.values()];
}

/** The same whatever was shown first. */
function straight(one) {
  if (one.tiers) return { aspect: one.aspect, tiers: one.tiers.map((tier) => [...tier].sort()) };
  const { aspect, a, b, choice, strength } = one;
  if (a < b) return { aspect, a, b, choice, strength };
  return { aspect, a: b, b: a, choice: { a: "b", b: "a" }[choice] ?? choice, strength };
}

/** A way of comparing as a sentence, such as "1 > 2, 2 = 3". */
export function told({ said }) {
  const number = (key) => key.slice(1);
  const sign = { a: ">", b: "<", tie: "=", both_bad: "= (both bad)" };
  return said
    .map((one) => {
      if (one.tiers) return one.tiers.map((tier) => tier.map(number).join(" = ")).join(" > ");
      return `${number(one.a)} ${sign[one.choice]}${one.strength > 1 ? " (strongly)" : ""} ${number(one.b)}`;
    })
    .join(", ");
}

/** What is still open: an index of a candidate, an aspect, or null. */
export function undecided(candidates, comparisons) {
  const index = candidates.findIndex((one) => !one.verdict);
  const aspect = comparisons.find((one) => one.chosen === null)?.aspect ?? null;
  return index < 0 && aspect === null ? null : { index, aspect };
}

/** The body of the verdict. */
export function verdictBody({ lanes, agreed, candidates, comparisons, correction, comment }) {
  const accepted = (kind) => candidates.filter((one) => one.kind === kind && one.verdict === "accepted").map((one) => one.said);
  const spans = accepted("span").map((span) => ({ ...span, id: newId() }));
  const missing = accepted("missing");
  const marked = new Set([...spans, ...missing].map((one) => one.target));
  const examined = lanes.flatMap(({ body }) => [...body.no_errors, ...[...body.spans, ...body.missing].map((one) => one.target)]);
  const chosen = (list) => comparisons.filter((one) => one.list === list && one.chosen !== null).flatMap((one) => one.ways[one.chosen].said);
  return {
    ...agreed,
    spans,
    missing,
    no_errors: [...new Set(examined)].filter((key) => !marked.has(key)).sort(),
    corrections: lanes.find((lane) => lane.label === correction)?.body.corrections ?? agreed.corrections,
    preferences: chosen("preferences"),
    rankings: chosen("rankings"),
    comment,
  };
}
