"""What can be measured on answers as text: ROUGE-Lsum, length, repetition, self-BLEU, truncation. No model, no torch.

Every metric is a number per answer, so that all of them can be resampled over prompts. ROUGE is the `rouge-score`
library with the Porter stemmer; it reads letters a-z and digits alone, so a reference in another script cannot be
scored and is counted as such.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu
from rouge_score.rouge_scorer import RougeScorer

from spanwise.core import DataError
from spanwise.evals.statistics import MetricInfo, ScoreTable
from spanwise.feedback import RewardSource, Sample, SegmentScores, Unscored
from spanwise.text import count_words, get_segmenter, split_words

Score = float | Unscored
"""A number, or why there is none."""
_Ratio = tuple[float, float] | None


@dataclass(frozen=True)
class AnswerText:
    """One answer with what it is measured against. Answers that share an id are samples of one prompt."""

    id: str
    response: str
    references: tuple[str, ...] = ()
    truncated: bool | None = None
    tokens: int | None = None


TEXT_METRICS = {
    "rouge_lsum": MetricInfo(
        label="ROUGE-Lsum", better="higher", description="F-measure against the best of the references, 0 to 1."
    ),
    "words": MetricInfo(label="Length", unit="words", digits=1, description="Words per answer."),
    "tokens": MetricInfo(label="Length in tokens", unit="tokens", digits=1, description="Tokens per answer."),
    "truncated": MetricInfo(
        label="Cut answers", unit="%", better="lower", description="Answers that ran into the length limit."
    ),
    "empty": MetricInfo(label="Empty answers", unit="%", better="lower", description="Answers without a word."),
    "distinct_1": MetricInfo(
        label="Distinct-1", unit="%", better="higher", description="Different words of all words, answer by answer."
    ),
    "distinct_2": MetricInfo(
        label="Distinct-2",
        unit="%",
        better="higher",
        description="Different word pairs of all pairs, answer by answer.",
    ),
    "distinct_3": MetricInfo(
        label="Distinct-3",
        unit="%",
        better="higher",
        description="Different runs of three words of all of them, answer by answer.",
    ),
    "self_bleu": MetricInfo(
        label="Self-BLEU", unit="%", description="BLEU-4 of a sampled answer against the other samples of its prompt."
    ),
}
"""All text metrics in the order of the tables."""


def text_scores(answers: Sequence[AnswerText]) -> dict[str, ScoreTable]:
    """One table per metric that any answer could be measured by, with the mean over a prompt's samples by its id."""
    rouge = RougeLsum()
    measures: dict[str, Callable[[AnswerText], Score]] = {
        "rouge_lsum": lambda answer: rouge(answer.response, answer.references),
        "words": lambda answer: float(count_words(answer.response)),
        "tokens": lambda answer: Unscored("no tokens given") if answer.tokens is None else float(answer.tokens),
        "truncated": lambda answer: Unscored("not told") if answer.truncated is None else float(answer.truncated),
        "empty": lambda answer: float(not answer.response.strip()),
        "distinct_1": lambda answer: distinct_n(answer.response, 1),
        "distinct_2": lambda answer: distinct_n(answer.response, 2),
        "distinct_3": lambda answer: distinct_n(answer.response, 3),
    }
    ids = [answer.id for answer in answers]
    tables = {name: score_table(ids, [measure(answer) for answer in answers]) for name, measure in measures.items()}
    tables["self_bleu"] = score_table(ids, self_bleu(answers))
    return {name: table for name, table in tables.items() if table.mask.any()}


class RougeLsum:
    """ROUGE-Lsum (F-measure, stemmed) with our sentence segmenter; the best of several references counts."""

    def __init__(self) -> None:
        self._scorer = RougeScorer(["rougeLsum"], use_stemmer=True)
        self._segmenter = get_segmenter("sentence")

    def __call__(self, response: str, references: Sequence[str]) -> Score:
        """A number from 0 to 1; Unscored when no reference has a word that ROUGE reads."""
        readable = [text for text in references if any(letter.isascii() and letter.isalnum() for letter in text)]
        if not readable:
            return Unscored("no reference that ROUGE can read" if references else "no reference")
        scores = self._scorer.score_multi([self._lines(text) for text in readable], self._lines(response))
        return float(scores["rougeLsum"].fmeasure)

    def _lines(self, text: str) -> str:
        """One sentence per line, as ROUGE-Lsum wants it."""
        return "\n".join(" ".join(span.of(text).split()) for span in self._segmenter(text))


def distinct_n(text: str, n: int) -> Score:
    """Different n-grams of words divided by all of them; Unscored where the text has fewer than n words."""
    if n < 1:
        raise DataError(f"distinct-n needs n of at least 1, not {n}.")
    words = split_words(text.lower())
    grams = Counter(zip(*(words[start:] for start in range(n)), strict=False))
    return len(grams) / grams.total() if grams else Unscored(f"fewer than {n} words")


def self_bleu(answers: Sequence[AnswerText]) -> list[Score]:
    """BLEU-4 of each answer against the other samples of its prompt (Zhu et al. 2018): 1 means they are all alike.

    Unscored where a prompt has one sample, or an answer no word. Words are lower-cased; n-grams
    that are found nowhere count as a tenth (`SmoothingFunction.method1`).
    """
    words = [split_words(answer.response.lower()) for answer in answers]
    places: dict[str, list[int]] = {}
    for index, answer in enumerate(answers):
        places.setdefault(answer.id, []).append(index)
    smooth = SmoothingFunction().method1
    scores: list[Score] = []
    for index, answer in enumerate(answers):
        others = [words[other] for other in places[answer.id] if other != index]
        if not others or not words[index]:
            scores.append(Unscored("no other sample of this prompt" if words[index] else "no words"))
            continue
        size = min(4, len(words[index]))
        scores.append(float(sentence_bleu(others, words[index], [1 / size] * size, smooth)))  # type: ignore[arg-type] - nltk says Literal
    return scores


def reward_scores(
    sources: Sequence[RewardSource], ids: Sequence[str], samples: Sequence[Sample]
) -> dict[str, ScoreTable]:
    """Per source the mean score per segment, micro-averaged; an answer with an unscored segment is unscored."""
    return {
        f"reward/{source.name}": _table(ids, [_segment_mean(scores) for scores in source.score(samples)])
        for source in sources
    }


def reward_info(source: RewardSource) -> MetricInfo:
    """How the scores of a source are shown."""
    unit = "answer" if source.density == "sequence" else source.density
    return MetricInfo(
        label=f"Reward {source.name}", better="higher", description=f"Mean score of {source.category} per {unit}."
    )


def _segment_mean(scores: SegmentScores) -> _Ratio:
    values = [score.value for score in scores.scores]
    known = [value for value in values if not isinstance(value, Unscored)]
    return None if scores.missing or len(known) < len(values) else (sum(known), float(len(known)))


def score_table(ids: Sequence[str], scores: Sequence[Score]) -> ScoreTable:
    """One score per answer as a table: the mean over a prompt's samples by its id."""
    return _table(ids, [_counted(score) for score in scores])


def _counted(score: Score) -> _Ratio:
    return None if isinstance(score, Unscored) else (score, 1.0)


def _table(ids: Sequence[str], ratios: Sequence[_Ratio]) -> ScoreTable:
    """Joins the samples of each prompt; one is unscored when none of its samples has a score."""
    by_prompt: dict[str, list[tuple[float, float]]] = {key: [] for key in ids}
    for key, ratio in zip(ids, ratios, strict=True):
        by_prompt[key] += [] if ratio is None else [ratio]
    return ScoreTable.from_samples(by_prompt)
