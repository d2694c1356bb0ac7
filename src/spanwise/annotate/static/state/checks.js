/**
 * What stands in the way of submitting. The server checks everything again and decides; these checks are for the
 * person who is still writing. Pure.
 */

import { t } from "../messages.js";
import { countWords, wordDiff, wordsChanged } from "../text/diff.js";

/** Which responses are marked and edited. */
export function examined(project, item) {
  return item.responses.map((_, index) => index).filter((index) => project.responses === "all" || index === 0);
}

/** @returns {{place: string, reason: string, response?: number, span?: string}[]} */
export function problems(doc, project, item, texts) {
  const found = [];
  for (const index of examined(project, item)) {
    if (project.tasks.includes("spans")) found.push(...spanProblems(doc.responses[index], index, project, item));
    if (project.tasks.includes("edit")) found.push(...editProblems(doc.responses[index], index, project, texts));
  }
  if (project.tasks.includes("preference")) found.push(...choiceProblems(doc, project, item));
  for (const question of project.questions ?? []) {
    if (question.required && !(doc.answers[question.key] ?? "").trim()) found.push({ place: "answers", reason: t("Not answered yet: {question}", { question: question.text }) });
  }
  return found;
}

function spanProblems(answer, response, project, item) {
  const found = [];
  const categories = new Map(project.categories.map((category) => [category.name, category]));
  if (!answer.spans.length && !answer.missing.length && !answer.no_errors) {
    found.push({ place: "no_errors", reason: t("Nothing is marked yet: mark something, or say that there are no errors."), response });
  }
  for (const span of answer.spans) {
    const category = categories.get(span.category);
    const lacking = category && lacks(span, category, item);
    if (lacking) found.push({ place: `span ${span.id}`, reason: `${category.label}: ${lacking}`, response, span: span.id });
  }
  for (const missing of answer.missing) {
    if (item.passages.length && !missing.evidence.length && !missing.comment?.trim()) {
      found.push({ place: "missing", reason: t("Missing information: choose the sentence that says it, or write what it is."), response });
    }
  }
  return found;
}

/** What a span of this category still needs; empty when nothing. */
export function lacks(span, category, item) {
  if (category.severities?.length && !span.severity) return t("choose how severe it is.");
  if (category.needs === "evidence" && item.passages.length && !span.evidence.length) return t("link the sentence that shows it.");
  if (category.needs === "antecedent" && !span.antecedent) return t("choose the earlier text that it repeats.");
  if (category.needs === "comment" && !span.note.trim()) return t("say why in a comment.");
  return "";
}

function editProblems(answer, response, project, texts) {
  const { text } = texts[response].offsets;
  if (answer.correction === null) {
    const wanted = project.require_edit && (answer.spans.length || answer.missing.length);
    return wanted ? [{ place: "corrections", reason: t("Marked, but not corrected yet: mend the text under Edit."), response, tab: "edit" }] : [];
  }
  if (answer.correction.trim() || answer.empty_reason.trim() || !text.trim()) return [];
  return [{ place: "corrections", reason: t("The edited text is empty: say why, or restore the text."), response, tab: "edit" }];
}

function choiceProblems(doc, project, item) {
  if (item.responses.length < 2) return [];
  return project.aspects.flatMap((aspect) => {
    if (project.pairs === "ranking") {
      return doc.rankings[aspect] ? [] : [{ place: "rankings", reason: t("Rank the responses ({aspect}).", { aspect }), tab: "compare" }];
    }
    const open = pairsOf(project, item).filter(([a, b]) => !choice(doc, aspect, a, b));
    if (!open.length) return [];
    const values = { aspect, count: open.length };
    const reason = open.length === 1 ? t("One pair is not compared yet ({aspect}).", values) : t("{count} pairs are not compared yet ({aspect}).", values);
    return [{ place: "preferences", reason, tab: "compare" }];
  });
}

/** The pairs of keys that are asked for; within a pair, and among pairs, in the order of `order`. */
export function pairsOf(project, item, order = item.responses.map((response) => response.key)) {
  const pairs = order.flatMap((a, index) => order.slice(index + 1).map((b) => [a, b]));
  if (project.pairs === "all") return pairs;
  const place = (key) => item.responses.findIndex((response) => response.key === key);
  return project.pairs === "adjacent" ? pairs.filter(([a, b]) => Math.abs(place(a) - place(b)) === 1) : [];
}

export function choice(doc, aspect, a, b) {
  return doc.preferences.find((one) => one.aspect === aspect && [one.a, one.b].sort().join() === [a, b].sort().join());
}

/** Triples of preferences that cannot all hold, as sentences. `name` spells a key for the reader. */
export function contradictions(preferences, name) {
  const value = new Map();
  for (const { a, b, choice: chosen } of preferences) {
    const sign = { a: 1, b: -1, tie: 0, both_bad: 0 }[chosen];
    value.set(`${a} ${b}`, sign).set(`${b} ${a}`, -sign);
  }
  const keys = [...new Set(preferences.flatMap(({ a, b }) => [a, b]))].sort();
  const better = (x, y) => value.get(`${x} ${y}`);
  const signed = (x, y) => `${name(x)} ${better(x, y) > 0 ? ">" : "="} ${name(y)}`;
  const found = [];
  for (const [i, x] of keys.entries()) {
    for (const [j, y] of keys.entries()) {
      for (const [k, z] of keys.entries()) {
        const first = i < j && i < k;
        if (!first || j === k || !(better(x, y) >= 0 && better(y, z) >= 0 && better(z, x) >= 0)) continue;
        const strict = better(x, y) > 0 || better(y, z) > 0 || better(z, x) > 0;
        if (strict) found.push(t("{first}, {second}, but {third}", { first: signed(x, y), second: signed(y, z), third: signed(z, x) }));
      }
    }
  }
  return [...new Set(found)];
}

/** Why a new span may not stand here; empty when it may. */
export function forbidden(project, spans, { id, start, end, category }) {
  const touching = spans.filter((span) => span.id !== id && span.start < end && start < span.end);
  if (!touching.length || project.overlap_rule === "any") return "";
  if (project.overlap_rule === "forbid") return t("Spans may not overlap in this project.");
  return touching.some((span) => span.category === category) ? t("Spans of one category may not overlap here.") : "";
}

/** How much of a response was rewritten: `{changed, words, share}`. */
export function editAmount(before, after) {
  const words = Math.max(countWords(before), 1);
  const changed = after === null || after === before ? 0 : wordsChanged(wordDiff(before, after));
  return { changed, words, share: changed / words };
}
