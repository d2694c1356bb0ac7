/** What an adjudicator can do beside all that an annotator can: decide marks, take comparisons and edits over. */

import { t } from "../messages.js";
import { decision } from "../state/verdict.js";
import { announce } from "../ui/announce.js";
import { onceDrawn } from "../ui/drawn.js";

/** @param {import("../work/store.js").Store} store @param {any[]} candidates @param {any} commands those of marking */
export function judgeCommands(store, candidates, commands) {
  const decided = (one) => store.doc.decisions[one.key];
  const at = () => store.ui.candidate ?? 0;

  /** Brings a candidate into view: its response, its mark in the result, its evidence among the passages. */
  const look = (index) => {
    const one = candidates[index];
    if (!one) return;
    const response = store.item.responses.findIndex((other) => other.key === one.said.target);
    const standing = store.doc.responses[response].spans.find((span) => span.from === one.key);
    store.show({ candidate: index, response, current: standing?.id ?? null, sel: null, mode: null, message: "", evidence: proofsOf(one.kind, one.said) });
    onceDrawn(() => document.querySelector(".candidate.current")?.scrollIntoView({ block: "nearest" }));
  };

  return {
    look,
    decide(verdict, index = at(), category = undefined) {
      const one = candidates[index];
      if (!one) return;
      const action = decision(store.project, store.doc, store.item, one, verdict, category);
      store.act(action);
      const displaced = action.displaced.length;
      announce(`${store.category(category ?? one.said.category).label} ${verdict}${displaced ? `, ${t("{count} in its place taken out", { count: displaced })}` : ""}`);
      if (displaced) commands.say(displaced === 1 ? t("One mark that it overlaps was taken out; undo brings back.") : t("{count} marks that it overlaps were taken out; undo brings back.", { count: displaced }));
      const next = candidates.findIndex((other, place) => place > index && !decided(other));
      look(next < 0 || category ? index : next);
    },
    move(direction) {
      const index = Math.max(0, Math.min(candidates.length - 1, at() + direction));
      look(index);
      const one = candidates[index];
      if (one) announce(`${store.category(one.said.category).label}: ${wordsOf(store.item, one).slice(0, 200)}, ${decided(one) ?? "open"}`);
    },
    /** The candidate at a place of a lane. */
    pointed(label, response, point) {
      const index = candidates.findIndex((one) => one.kind === "span" && one.by.includes(label) && one.said.target === response && one.said.start <= point && point < one.said.end);
      if (index >= 0) look(index);
    },
    because: (key, text) => store.act({ type: "reason", key, text, continues: `reason ${key}` }),
    takeWay: (one, way) => store.act({ type: "compare", list: one.list, aspect: one.aspect, said: way.said }),
    takeEdit: (text) => store.act({ type: "edit", text }),
    open: () => candidates.filter((one) => !decided(one)).length,
  };
}

/** What a mark says, in the words that it stands on. */
export function wordsOf(item, { kind, said }) {
  if (kind === "span") return said.quote;
  return said.evidence ? cited(item, said.evidence).map((one) => one.text).join(" ") : said.comment;
}

/** The pieces of evidence that a mark has; what is missing has one at most. */
export function proofsOf(kind, { evidence }) {
  return kind === "span" ? evidence : evidence ? [evidence] : [];
}

/** The sentences of a piece of evidence with their numbers. */
export function cited(item, { passage, sentences, title }) {
  const source = item.passages[passage];
  const numbers = [...(title ? [-1] : []), ...sentences];
  return numbers.map((sentence) => ({ passage, sentence, text: (sentence < 0 ? source?.title : source?.sentences[sentence]) ?? "" }));
}

export function judgeKeys(store, judge, next) {
  const marking = (work) => () => (store.ui.tab === "mark" && document.activeElement?.id !== "passages" ? work() : false);
  const outside = (work) => marking(() => (document.activeElement?.id === "response" ? false : work()));
  return {
    accept: marking(() => judge.decide("accepted")), reject: marking(() => judge.decide("rejected")),
    "mark.next": marking(() => judge.move(1)), "mark.previous": marking(() => judge.move(-1)),
    "mark.down": outside(() => judge.move(1)), "mark.up": outside(() => judge.move(-1)),
    "item.next": next,
  };
}
