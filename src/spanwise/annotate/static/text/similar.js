/** Which sentences resemble a span: shared words, rarer ones counting more. Pure. */

const WORD = /[\p{L}\p{N}]+/gu;

function words(text) {
  return new Set(text.toLowerCase().match(WORD) ?? []);
}

/**
 * @param {string} span @param {string[]} sentences
 * @returns {number[]} the indices of sentences that share a word with the span, most similar first
 */
export function mostSimilar(span, sentences) {
  const bags = sentences.map(words);
  const seen = new Map();
  for (const bag of bags) for (const word of bag) seen.set(word, (seen.get(word) ?? 0) + 1);
  const wanted = words(span);
  const weight = (word) => Math.log(1 + sentences.length / (seen.get(word) ?? 1));
  const scores = bags.map((bag, index) => {
    const shared = [...wanted].filter((word) => bag.has(word)).reduce((sum, word) => sum + weight(word), 0);
    return { index, score: shared / Math.sqrt(1 + bag.size) };
  });
  return scores.filter(({ score }) => score > 0).sort((a, b) => b.score - a.score || a.index - b.index).map(({ index }) => index);
}
