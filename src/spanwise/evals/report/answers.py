"""Which sample answers a page shows, and how: before and after training, arm beside arm, along a dial.

Chooses from samples.jsonl and from `results.examples`, the same way every time. It knows nothing of HTML.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from spanwise.evals.report.heatmap import Stretch, Tint, largest, lay_out, tint
from spanwise.evals.runs import Run, SampleRow, SettingGroup, TradeOff
from spanwise.evals.statistics import MINUS, MISSING, Example, ExampleAnswer, ExperimentResults, mean_and_interval
from spanwise.feedback import Passage

TOTAL = "total"
KL = "KL"
MAX_PROMPTS = 8
"""Prompts behind a dial; the rest is in the results."""
Scores = Mapping[str, Sequence[float | None]]


@dataclass(frozen=True)
class AnswerView:
    """One answer, laid out, with its scores per token by source (the total among them)."""

    title: str
    stretches: tuple[Stretch, ...]
    scores: Scores
    missing: tuple[str, ...] = ()
    truncated: bool = False
    index: int | None = None
    """The arm's place in the legend."""

    @property
    def total(self) -> float | None:
        """The sum of the total scores; None when a token could not be scored or none was."""
        values = self.scores.get(TOTAL, ())
        return None if not values or any(value is None for value in values) else sum(value or 0.0 for value in values)

    def tints(self, scales: Mapping[str, float]) -> dict[str, tuple[Tint, ...]]:
        """The colour of every token by source."""
        return {source: tint(values, scales[source]) for source, values in self.scores.items()}

    def hint(self, token: int) -> str:
        """What a token's tooltip says: its score from every source that spoke there."""
        parts = [
            f"{source} {_signed(values[token])}" for source, values in self.scores.items() if _spoke(values, token)
        ]
        return ", ".join(parts) or "no score"


@dataclass(frozen=True)
class Card:
    """One prompt with its answers."""

    prompt: str
    answers: tuple[AnswerView, ...]
    passages: tuple[Passage, ...] = ()
    references: tuple[str, ...] = ()


@dataclass(frozen=True)
class Gallery:
    """Cards that share one colour scale per source."""

    title: str
    cards: tuple[Card, ...]
    left_out: int = 0
    scales: Mapping[str, float] = field(default_factory=dict[str, float])

    @property
    def has_marks(self) -> bool:
        """Whether a judge marked a span in any answer."""
        return any(stretch.category for card in self.cards for answer in card.answers for stretch in answer.stretches)

    @property
    def has_unscored(self) -> bool:
        """Whether a token of any answer could not be scored."""
        return any(
            None in values for card in self.cards for answer in card.answers for values in answer.scores.values()
        )

    @property
    def sources(self) -> list[str]:
        """The total first, then the sources in the order they were met, KL last."""
        named = [source for source in self.scales if source not in (TOTAL, KL)]
        return [source for source in (TOTAL, *named, KL) if source in self.scales]


@dataclass(frozen=True)
class DialGroup:
    """One group behind the dial: positions, and per prompt the answer at each."""

    title: str
    note: str
    positions: tuple[str, ...]
    labels: tuple[str, ...]
    figures: tuple[str, ...]
    """The setting's figures in words, one per position."""
    cards: tuple[tuple[str, tuple[str, ...]], ...]
    """(prompt, answers in the order of the positions)."""


def sample_gallery(run: Run, title: str, *, limit: int) -> Gallery | None:
    """The answers to the same prompts at the first and at the last logged step; None when nothing was logged."""
    if not run.samples:
        return None
    steps = sorted({row.step for row in run.samples})
    first, last = (_at(run.samples, step) for step in (steps[0], steps[-1]))
    shared = [prompt for prompt in last if prompt in first] or list(last)
    cards: list[Card] = []
    for prompt in shared[:limit]:
        rows = [row for row in (first.get(prompt), last[prompt]) if row is not None]
        rows = rows[-1:] if len(steps) == 1 else rows
        cards.append(Card(prompt, tuple(_of_sample(row) for row in rows)))
    return _gallery(title, cards, len(shared) - len(cards))


def example_gallery(
    examples: Sequence[Example], labels: Mapping[str, str], places: Mapping[str, int], *, title: str, limit: int
) -> Gallery | None:
    """Held-out prompts with every arm's answer; `labels` and `places` are the arms' names and places in the legend."""
    if not examples:
        return None
    cards = [
        Card(
            example.prompt,
            tuple(
                _of_example(example.answers[arm], labels[arm], places[arm]) for arm in labels if arm in example.answers
            ),
            example.passages,
            example.references,
        )
        for example in examples[:limit]
    ]
    return _gallery(title, cards, len(examples) - len(cards))


def dials_of(results: ExperimentResults, plan: TradeOff) -> tuple[DialGroup, ...]:
    """One dial per group of settings."""
    return tuple(_dial(results, group) for group in plan.groups)


def _gallery(title: str, cards: Sequence[Card], left_out: int) -> Gallery:
    scales = largest([answer.scores for card in cards for answer in card.answers])
    return Gallery(title, tuple(cards), left_out, scales)


def _at(samples: Sequence[SampleRow], step: int) -> dict[str, SampleRow]:
    """The first answer to each prompt at `step`."""
    rows: dict[str, SampleRow] = {}
    for row in samples:
        if row.step == step:
            rows.setdefault(row.prompt, row)
    return rows


def _of_sample(row: SampleRow) -> AnswerView:
    total = (None,) * len(row.tokens) if row.dropped else row.token_scores
    scores = _scores(len(row.tokens), total, {} if row.dropped else row.shares, row.kl)
    return AnswerView(f"Step {row.step}", lay_out(row.response, row.tokens), scores)


def _of_example(answer: ExampleAnswer, label: str, index: int) -> AnswerView:
    scores = _scores(len(answer.tokens), answer.token_scores, answer.shares, answer.kl)
    stretches = lay_out(answer.response, answer.tokens, answer.spans)
    return AnswerView(label, stretches, scores, answer.missing, answer.truncated, index)


def _scores(tokens: int, total: Sequence[float | None], shares: Scores, kl: Sequence[float | None]) -> Scores:
    """All series that have one value per token; others cannot be laid over the text."""
    series = {TOTAL: total, **shares, KL: kl}
    return {source: values for source, values in series.items() if values and len(values) == tokens}


def _spoke(values: Sequence[float | None], token: int) -> bool:
    value = values[token]
    return value is None or abs(value) >= 0.0005


def _signed(value: float | None) -> str:
    if value is None:
        return MISSING
    return f"{'+' if value > 0 else MINUS}{abs(value):.3g}"


def _dial(results: ExperimentResults, group: SettingGroup) -> DialGroup:
    answered = [example for example in results.examples if any(arm in example.answers for arm in group.arms)]
    shown = answered[:MAX_PROMPTS]
    return DialGroup(
        title=group.title,
        note=group.note,
        positions=group.positions,
        labels=tuple(results.arms[arm].title for arm in group.arms),
        figures=tuple(_figures(results, arm) for arm in group.arms),
        cards=tuple(
            (example.prompt, tuple(_answer(example, arm) for arm in group.arms)) for example in shown[:MAX_PROMPTS]
        ),
    )


def _figures(results: ExperimentResults, arm: str) -> str:
    estimates = results.arms[arm].metrics
    return "; ".join(
        f"{info.label} {mean_and_interval(estimates.get(metric), info)}{f' {info.unit}' if info.unit else ''}"
        for metric, info in results.metrics.items()
    )


def _answer(example: Example, arm: str) -> str:
    return example.answers[arm].response if arm in example.answers else ""
