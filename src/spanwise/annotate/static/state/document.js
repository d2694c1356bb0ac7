/**
 * What an annotator has said about one item, and the actions that change it. A pure reducer: no page, no network.
 *
 * Offsets count code points of the response; responses, passages and sentences are counted from 0.
 */

/** @param {number} responses */
export function emptyDocument(responses) {
  return {
    responses: Array.from({ length: responses }, emptyAnswer),
    preferences: [],
    rankings: {},
    answers: {},
    comment: "",
  };
}

function emptyAnswer() {
  return { spans: [], missing: [], no_errors: false, correction: null, empty_reason: "" };
}

export function reduce(doc, action) {
  const change = CHANGES[action.type];
  if (!change) throw new Error(`no action is called ${action.type}`);
  return change(doc, action);
}

const CHANGES = {
  "span.add": (doc, { response, span }) =>
    answer(doc, response, (now) => ({ ...now, no_errors: false, spans: inOrder([...now.spans, span]) })),
  "span.remove": (doc, { response, id }) => spans(doc, response, (all) => all.filter((span) => span.id !== id)),
  "span.move": (doc, { response, id, start, end }) =>
    oneSpan(doc, response, id, (span) => ({ ...span, start, end, origin: touched(span) })),
  "span.label": (doc, { response, id, category }) =>
    oneSpan(doc, response, id, (span) =>
      span.category === category ? span : { ...span, category, origin: touched(span) },
    ),
  "span.note": (doc, { response, id, note }) => oneSpan(doc, response, id, (span) => ({ ...span, note })),
  "span.severity": (doc, { response, id, severity }) =>
    oneSpan(doc, response, id, (span) => ({ ...span, severity })),
  "span.checked": (doc, { response, id, checked }) => oneSpan(doc, response, id, (span) => ({ ...span, checked })),
  "span.antecedent": (doc, { response, id, antecedent }) =>
    oneSpan(doc, response, id, (span) => ({ ...span, antecedent })),
  "span.evidence": (doc, { response, id, passage, sentence }) =>
    oneSpan(doc, response, id, (span) => ({ ...span, evidence: toggled(span.evidence, passage, sentence) })),
  "spans.clear": (doc, { response }) => answer(doc, response, (now) => ({ ...now, spans: [], missing: [], no_errors: true })),
  "missing.add": (doc, { response, missing }) =>
    answer(doc, response, (now) => ({ ...now, no_errors: false, missing: [...now.missing, missing] })),
  "missing.remove": (doc, { response, id }) =>
    answer(doc, response, (now) => ({ ...now, missing: now.missing.filter((entry) => entry.id !== id) })),
  "missing.evidence": (doc, { response, id, passage, sentence }) =>
    answer(doc, response, (now) => ({
      ...now,
      missing: now.missing.map((entry) =>
        entry.id === id ? { ...entry, evidence: moved(entry.evidence, passage, sentence) } : entry,
      ),
    })),
  "missing.note": (doc, { response, id, note }) =>
    answer(doc, response, (now) => ({ ...now, missing: now.missing.map((entry) => (entry.id === id ? { ...entry, comment: note } : entry)) })),
  "no_errors": (doc, { response, value }) => answer(doc, response, (now) => ({ ...now, no_errors: value })),
  "edit": (doc, { response, text }) =>
    answer(doc, response, (now) => (now.correction === text ? now : { ...now, correction: text })),
  "edit.reason": (doc, { response, reason }) => answer(doc, response, (now) => ({ ...now, empty_reason: reason })),
  "prefer": (doc, { preference }) => ({
    ...doc,
    preferences: [...doc.preferences.filter((other) => !samePair(other, preference)), preference],
  }),
  "unprefer": (doc, { preference }) => ({
    ...doc,
    preferences: doc.preferences.filter((other) => !samePair(other, preference)),
  }),
  "rank": (doc, { aspect, tiers }) => ({ ...doc, rankings: { ...doc.rankings, [aspect]: tiers } }),
  "answer": (doc, { key, value }) => ({ ...doc, answers: { ...doc.answers, [key]: value } }),
  "comment": (doc, { comment }) => ({ ...doc, comment }),
};

function answer(doc, index, change) {
  const before = doc.responses[index];
  const after = change(before);
  if (after === before) return doc;
  return { ...doc, responses: doc.responses.map((one, place) => (place === index ? after : one)) };
}

function spans(doc, response, change) {
  return answer(doc, response, (now) => ({ ...now, spans: change(now.spans) }));
}

function oneSpan(doc, response, id, change) {
  const old = doc.responses[response].spans.find((span) => span.id === id);
  if (!old) return doc;
  const fresh = change(old);
  if (fresh === old) return doc;
  return spans(doc, response, (all) => inOrder(all.map((span) => (span.id === id ? fresh : span))));
}

/** A suggestion that a person changed is no longer as it was suggested. */
function touched(span) {
  return span.origin === "human" ? "human" : "modified";
}

function inOrder(all) {
  return [...all].sort((a, b) => a.start - b.start || a.end - b.end || (a.id < b.id ? -1 : 1));
}

/** Evidence with one sentence added or taken away; sentence -1 is the passage's title. */
function toggled(evidence, passage, sentence) {
  const old = evidence.find((entry) => entry.passage === passage) ?? { passage, sentences: [], title: false };
  const has = sentence < 0 ? old.title : old.sentences.includes(sentence);
  const fresh =
    sentence < 0
      ? { ...old, title: !has }
      : {
          ...old,
          sentences: has
            ? old.sentences.filter((number) => number !== sentence)
            : [...old.sentences, sentence].sort((a, b) => a - b),
        };
  const rest = evidence.filter((entry) => entry.passage !== passage);
  return fresh.title || fresh.sentences.length ? [...rest, fresh].sort((a, b) => a.passage - b.passage) : rest;
}

/** What is missing stands in one passage: a sentence of another one starts anew. */
function moved(evidence, passage, sentence) {
  return toggled(
    evidence.filter((entry) => entry.passage === passage),
    passage,
    sentence,
  );
}

export function samePair(one, other) {
  const pair = (entry) => [entry.a, entry.b].sort().join();
  return one.aspect === other.aspect && pair(one) === pair(other);
}
