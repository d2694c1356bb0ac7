/**
 * What adjudication decides: every different mark and every different comparison that people made, what is decided to
 * begin with, and the decisions as actions on a document, so that each is undone and saved like any other work. Costs
 * no more than the marks are many. Pure.
 */

import { t } from "../messages.js";
import { examined, forbidden } from "./checks.js";
import { reduce } from "./document.js";
import { newId } from "./ids.js";
import { fromBody, toBody } from "./wire.js";

/** Where a passage says what is missing; what no passage says is told apart by the annotators' words. */
const placesOf = ({ evidence, comment }) =>
  evidence ? `${evidence.passage} ${evidence.title} ${[...evidence.sentences].sort((x, y) => x - y)}` : `"${comment ?? ""}"`;

/** One and the same for marks of one kind that say the same of the same place. */
const KEYS = {
  span: (said) => `${said.target}:${said.start}-${said.end}:${said.category}`,
  missing: (said) => `${said.target}:missing:${said.category}:${placesOf(said)}`,
};
const LISTS = { span: "spans", missing: "missing" };

/**
 * Every different mark with who made it, in the order of the text; what is missing comes last.
 * @returns {{key: string, kind: "span" | "missing", said: any, by: string[], variants: {label: string, said: any}[]}[]}
 */
export function candidatesOf(lanes) {
  const order = (a, b) => (a.said.target === b.said.target ? a.said.start - b.said.start || a.said.end - b.said.end : a.said.target < b.said.target ? -1 : 1);
  return [...gathered("span", lanes).sort(order), ...gathered("missing", lanes)];
}

function gathered(kind, lanes) {
  const found = new Map();
  for (const lane of lanes) {
    for (const said of lane.body[LISTS[kind]]) {
      const key = KEYS[kind](said);
      if (!found.has(key)) found.set(key, { key, kind, said, by: [], variants: [] });
      const one = found.get(key);
      if (!one.by.includes(lane.label)) one.by.push(lane.label);
      one.variants.push({ label: lane.label, said });
    }
  }
  return [...found.values()];
}

/** The document to begin with: the decision in force, or else what all agree on. */
export function beginning({ lanes, agreed, verdict }, candidates, item, project) {
  const body = verdict ?? { ...agreed, ...onlyWays(lanes) };
  const doc = { ...fromBody({ ...body, spans: [], missing: [] }, item), decisions: {}, reasons: {} };
  if (!verdict) doc.comment = "";
  for (const { target, text } of body.corrections ?? []) doc.responses[indexOf(item, target)].correction = text;
  const taken = new Set(["span", "missing"].flatMap((kind) => body[LISTS[kind]].map(KEYS[kind])));
  const chosen = candidates.filter((one) => taken.has(one.key));
  for (const one of chosen) {
    place(doc.responses[indexOf(item, one.said.target)], one);
    doc.decisions[one.key] = "accepted";
    taken.delete(one.key);
  }
  for (const one of candidates) {
    if (doc.decisions[one.key]) continue;
    if (verdict || clashes(project, doc, item, one).length) doc.decisions[one.key] = "rejected";
  }
  return verdict ? withOwn(doc, fromBody(verdict, item), taken, item) : doc;
}

/** What an earlier decision holds and nobody had marked. */
function withOwn(doc, before, own, item) {
  const keyOf = (kind, one, index) => KEYS[kind]({ ...one, target: item.responses[index].key, evidence: kind === "missing" ? one.evidence[0] : one.evidence });
  before.responses.forEach((answer, index) => {
    doc.responses[index].spans.push(...answer.spans.filter((one) => own.has(keyOf("span", one, index))));
    doc.responses[index].spans.sort((a, b) => a.start - b.start || a.end - b.end);
    doc.responses[index].missing.push(...answer.missing.filter((one) => own.has(keyOf("missing", one, index))));
  });
  return doc;
}

/** The comparisons of each aspect that was compared in one way alone. */
function onlyWays(lanes) {
  const sole = comparisonsOf(lanes).filter((one) => one.ways.length === 1);
  const said = (list) => sole.filter((one) => one.list === list).flatMap((one) => one.ways[0].said);
  return { preferences: said("preferences"), rankings: said("rankings") };
}

const indexOf = (item, key) => item.responses.findIndex((response) => response.key === key);

/** A candidate as a mark of the result. */
function made({ key, kind, said }, category = said.category) {
  const changed = category !== said.category;
  if (kind === "missing") return { id: newId(), category, evidence: said.evidence ? [said.evidence] : [], comment: said.comment ?? "", from: key };
  const antecedent = said.antecedent && { start: said.antecedent.start, end: said.antecedent.end };
  const { start, end, severity, comment, evidence, suggestion_id } = said;
  return { id: newId(), start, end, category, severity, note: comment ?? "", origin: changed ? "modified" : said.origin, suggestion_id, evidence, antecedent, from: key };
}

function place(answer, candidate, category) {
  answer[LISTS[candidate.kind]].push(made(candidate, category));
}

/** Marks of the result that cannot stand beside a candidate. */
export function clashes(project, doc, item, { key, kind, said }, category = said.category) {
  if (kind !== "span") return [];
  const { spans } = doc.responses[indexOf(item, said.target)];
  const near = spans.filter((span) => span.from !== key && span.start < said.end && said.start < span.end);
  return near.filter((span) => forbidden(project, [span], { ...said, id: "", category }));
}

/** The action that accepts or rejects a candidate; an accepted one takes the place of what it cannot stand beside. */
export function decision(project, doc, item, candidate, verdict, category) {
  const response = indexOf(item, candidate.said.target);
  const displaced = verdict === "accepted" ? clashes(project, doc, item, candidate, category) : [];
  const mark = verdict === "accepted" ? made(candidate, category) : null;
  return { type: "decide", response, key: candidate.key, list: LISTS[candidate.kind], verdict, mark, displaced: displaced.map((span) => span.id) };
}

/** The reducer of the document: decisions beside all that can be done to an annotation. */
export function reduceVerdict(doc, action) {
  const change = CHANGES[action.type];
  if (change) return change(doc, action);
  const next = reduce(doc, action);
  return next !== doc && REMOVES.has(action.type) ? settled(next) : next;
}

const REMOVES = new Set(["span.remove", "missing.remove", "spans.clear"]);

const CHANGES = {
  decide(doc, { response, key, list, verdict, mark, displaced }) {
    if (doc.decisions[key] === verdict) return doc;
    const gone = new Set(displaced);
    const answer = { ...doc.responses[response] };
    answer.spans = answer.spans.filter((span) => !gone.has(span.id));
    answer[list] = answer[list].filter((one) => one.from !== key);
    if (mark) answer[list] = [...answer[list], mark].sort(list === "spans" ? (a, b) => a.start - b.start || a.end - b.end : () => 0);
    const responses = doc.responses.map((one, index) => (index === response ? { ...answer, no_errors: false } : one));
    return settled({ ...doc, responses, decisions: { ...doc.decisions, [key]: verdict } });
  },
  reason: (doc, { key, text }) => ({ ...doc, reasons: { ...doc.reasons, [key]: text } }),
  compare: (doc, { list, aspect, said }) =>
    list === "preferences"
      ? { ...doc, preferences: [...doc.preferences.filter((one) => one.aspect !== aspect), ...said] }
      : { ...doc, rankings: { ...doc.rankings, [aspect]: said[0].tiers } },
};

/** Accepted marks that are gone from the result are rejected ones. */
function settled(doc) {
  const standing = new Set(doc.responses.flatMap((answer) => [...answer.spans, ...answer.missing].map((one) => one.from)));
  const entries = Object.entries(doc.decisions).map(([key, verdict]) => [key, verdict === "accepted" && !standing.has(key) ? "rejected" : verdict]);
  return { ...doc, decisions: Object.fromEntries(entries) };
}

/**
 * For each aspect that was compared, the different ways in which people did.
 * @returns {{list: "preferences" | "rankings", aspect: string, ways: {key: string, by: string[], said: any[]}[]}[]}
 */
export function comparisonsOf(lanes) {
  const found = [];
  for (const list of ["preferences", "rankings"]) {
    const aspects = new Set(lanes.flatMap((lane) => lane.body[list].map((one) => one.aspect)));
    for (const aspect of aspects) found.push({ list, aspect, ways: waysOf(list, aspect, lanes) });
  }
  return found;
}

function waysOf(list, aspect, lanes) {
  const ways = new Map();
  for (const lane of lanes) {
    const said = lane.body[list].filter((one) => one.aspect === aspect).map(straight);
    if (!said.length) continue;
    const key = wayKey(said);
    if (ways.has(key)) ways.get(key).by.push(lane.label);
    else ways.set(key, { key, by: [lane.label], said });
  }
  return [...ways.values()];
}

/** Which way the result compares an aspect; "" where it does not yet. */
export function wayTaken(doc, { list, aspect }) {
  if (list === "preferences") {
    const said = doc.preferences.filter((one) => one.aspect === aspect).map(straight);
    return said.length ? wayKey(said) : "";
  }
  const tiers = doc.rankings[aspect];
  return tiers ? wayKey([straight({ aspect, tiers })]) : "";
}

const wayKey = (said) => JSON.stringify(said.map((one) => JSON.stringify(one)).sort());

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
  const sign = { a: ">", b: "<", tie: "=", both_bad: t("= (both bad)") };
  return said
    .map((one) => {
      if (one.tiers) return one.tiers.map((tier) => tier.map(number).join(" = ")).join(" > ");
      return `${number(one.a)} ${sign[one.choice]}${one.strength > 1 ? " (strongly)" : ""} ${number(one.b)}`;
    })
    .join(", ");
}

/** The different edits of one response with who made them; a text as it was counts as one. */
export function editsOf(lanes, key) {
  const edits = new Map();
  for (const lane of lanes) {
    for (const { target, text } of lane.body.corrections) {
      if (target !== key) continue;
      if (edits.has(text)) edits.get(text).by.push(lane.label);
      else edits.set(text, { text, by: [lane.label] });
    }
  }
  return [...edits.values()];
}

/** The document as it will be submitted: a response in which no mark was left has no errors. */
export function concluded(doc, item, project) {
  const marks = project.tasks.includes("spans") ? new Set(examined(project, item)) : new Set();
  const free = (answer, index) => marks.has(index) && !answer.spans.length && !answer.missing.length;
  return { ...doc, responses: doc.responses.map((answer, index) => ({ ...answer, no_errors: free(answer, index) })) };
}

/** The body of the verdict. */
export const verdictBody = (doc, item, project) => toBody(concluded(doc, item, project), item, project);
