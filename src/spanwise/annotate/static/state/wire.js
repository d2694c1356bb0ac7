/**
 * Between the page's document and the body that the server stores: quotes are added, names of responses spelled out.
 */

import { Offsets } from "../text/offsets.js";
import { examined } from "./checks.js";
import { emptyDocument } from "./document.js";
import { newId } from "./ids.js";

/** The body of a submission; a response that is to be edited and was found right is sent as it is. */
export function toBody(doc, item, project) {
  const edited = project.tasks.includes("edit") ? examined(project, item) : [];
  const body = { no_errors: [], spans: [], missing: [], corrections: [], preferences: [], rankings: [], answers: [] };
  doc.responses.forEach((answer, index) => {
    const { key, text } = item.responses[index];
    const offsets = offsetsOf(item.responses[index]);
    if (answer.no_errors) body.no_errors.push(key);
    body.spans.push(...answer.spans.map((span) => spanOut(span, key, offsets)));
    for (const missing of answer.missing) {
      const evidence = missing.evidence[0] ?? null;
      body.missing.push({ target: key, category: missing.category, evidence, comment: missing.comment ?? "" });
    }
    const right = edited.includes(index) && !answer.spans.length && !answer.missing.length;
    if (answer.correction !== null || right) {
      body.corrections.push({ target: key, text: answer.correction ?? text, reason: answer.empty_reason });
    }
  });
  body.preferences = doc.preferences;
  body.rankings = Object.entries(doc.rankings).map(([aspect, tiers]) => ({ aspect, tiers }));
  body.answers = Object.entries(doc.answers).filter(([, value]) => value.trim()).map(([key, value]) => ({ key, value }));
  return { ...body, comment: doc.comment };
}

/** Counted once for each response. @type {WeakMap<object, Offsets>} */
const counted = new WeakMap();

function offsetsOf(response) {
  if (!counted.has(response)) counted.set(response, new Offsets(response.text));
  return counted.get(response);
}

function spanOut(span, target, offsets) {
  const { id, start, end, category, severity, note, origin, suggestion_id, evidence, antecedent } = span;
  return {
    id, target, start, end, quote: offsets.slice(start, end), category,
    severity: severity ?? null, comment: note, origin, suggestion_id: suggestion_id ?? null, evidence,
    antecedent: antecedent && { ...antecedent, text: offsets.slice(antecedent.start, antecedent.end) },
  };
}

/** The page's document of a stored body, for reopened work and for suggestions. */
export function fromBody(body, item) {
  const doc = emptyDocument(item.responses.length);
  item.responses.forEach(({ key }, index) => {
    const answer = doc.responses[index];
    answer.no_errors = (body.no_errors ?? []).includes(key);
    answer.spans = (body.spans ?? []).filter((span) => span.target === key).map(spanIn);
    answer.missing = (body.missing ?? [])
      .filter((missing) => missing.target === key)
      .map(({ category, evidence, comment }) => ({ id: newId(), category, evidence: evidence ? [evidence] : [], comment }));
    const correction = (body.corrections ?? []).find((one) => one.target === key);
    if (correction && correction.text !== item.responses[index].text) Object.assign(answer, { correction: correction.text, empty_reason: correction.reason ?? "" });
  });
  doc.preferences = body.preferences ?? [];
  doc.rankings = Object.fromEntries((body.rankings ?? []).map(({ aspect, tiers }) => [aspect, tiers]));
  doc.answers = Object.fromEntries((body.answers ?? []).map(({ key, value }) => [key, value]));
  doc.comment = body.comment ?? "";
  return doc;
}

function spanIn(span) {
  const { id, start, end, category, severity, comment, origin, suggestion_id, evidence, antecedent } = span;
  const place = antecedent && { start: antecedent.start, end: antecedent.end };
  return { id, start, end, category, severity, note: comment ?? "", origin, suggestion_id, evidence: evidence ?? [], antecedent: place ?? null };
}

/** A new span of a person. */
export function newSpan(start, end, category) {
  return {
    id: newId(), start, end, category, severity: null, note: "", origin: "human", suggestion_id: null,
    evidence: [], antecedent: null,
  };
}
