/** Passages as one list of sentences, and which of them are linked. Pure. */

import { t } from "../messages.js";
import { mostSimilar } from "../text/similar.js";

const CLOSEST = 5;

/** All sentences as one list; sentence -1 is a passage's title. */
export function sentencesOf(item) {
  return item.passages.flatMap((passage, number) => [
    ...(passage.title ? [{ passage: number, sentence: -1, text: passage.title }] : []),
    ...passage.sentences.map((text, sentence) => ({ passage: number, sentence, text })),
  ]);
}

export const sentenceId = ({ passage, sentence }) => `sentence-${passage}-${sentence}`;

/** "2.4": passage and sentence as people count them; the title is sentence 0. */
export const spokenPlace = ({ passage, sentence }) => `${passage + 1}.${sentence + 1}`;

/** The same for all sentences of one piece of evidence: "2.4, 2.5". */
export function places(entry) {
  const numbers = [...(entry.title ? [-1] : []), ...entry.sentences];
  return numbers.map((sentence) => spokenPlace({ passage: entry.passage, sentence })).join(", ");
}

export function hasSentence(evidence, { passage, sentence }) {
  const entry = evidence.find((one) => one.passage === passage);
  return Boolean(entry && (sentence < 0 ? entry.title : entry.sentences.includes(sentence)));
}

/** All sentences, and the few that are closest to the span in view. */
export function walkOrder(store) {
  const all = sentencesOf(store.item);
  const span = store.currentSpan;
  const near = span ? mostSimilar(store.text.offsets.slice(span.start, span.end), all.map((one) => one.text)) : [];
  return { all, closest: near.slice(0, CLOSEST).map((index) => all[index]) };
}

/** The sentence that "2.4" names, or undefined. */
export function named(item, typed) {
  const [passage, sentence] = typed.split(".").map(Number);
  return sentencesOf(item).find((one) => one.passage === passage - 1 && one.sentence === sentence - 1);
}

/** Keys of evidence mode; true when the key was used. */
export function evidenceKey(store, commands, event) {
  const { mode } = store.ui;
  const { all, closest } = walkOrder(store);
  const walk = [...closest, ...all.filter((one) => !closest.includes(one))];
  const at = walk.findIndex((one) => mode.cursor && sentenceId(one) === sentenceId(mode.cursor));
  const go = (index) => store.show({ mode: { ...mode, cursor: walk[Math.max(0, Math.min(walk.length - 1, index))], typed: "" } });
  if (event.key === "ArrowDown") go(at + 1);
  else if (event.key === "ArrowUp") go(at - 1);
  else if (event.key === "Home") go(0);
  else if (event.key === "End") go(walk.length - 1);
  else if (/^[0-9.,]$/.test(event.key)) typed(store, `${mode.typed}${event.key.replace(",", ".")}`);
  else if (event.key === "Backspace") typed(store, mode.typed.slice(0, -1));
  else if (event.key === " " || event.key === "Enter") {
    const one = mode.typed ? named(store.item, mode.typed) : mode.cursor;
    if (mode.typed && !one) commands.say(t("There is no sentence {number}.", { number: mode.typed }));
    if (event.key === "Enter" && !mode.typed) commands.leave();
    else if (one) commands.toggleSentence(one);
  } else return false;
  return true;
}

function typed(store, text) {
  const one = named(store.item, text);
  store.show({ mode: { ...store.ui.mode, typed: text, cursor: one ?? store.ui.mode.cursor } });
}
