"""Judged models as `ExperimentResults`, so that `spanwise report` shows their win rates, differences and answers.

Knows nothing of files or judges. Shares are from 0 to 1 here, as everywhere behind "%".
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType

from spanwise.evals.statistics import (
    Arm,
    Comparison,
    Estimate,
    Example,
    ExampleAnswer,
    ExperimentResults,
    Judgements,
    MetricInfo,
    ScoreTable,
    arm_estimates,
    common,
    compare_arms,
)
from spanwise.evals.win_rate.judged_comparison import WIN_RATE
from spanwise.evals.win_rate.summary import WinRateSummary
from spanwise.feedback import PromptRecord

MAX_EXAMPLES = 20
CONTROLLED = MetricInfo(
    label="Length-controlled", unit="%", better="higher", digits=2, description="Win rate at equal length of answers."
)
CHARACTERS = MetricInfo(label="Length", unit="characters", digits=0, description="Characters per answer.")
METRICS = {"win_rate": WIN_RATE, "length_controlled": CONTROLLED, "characters": CHARACTERS}


def against_reference(
    summary: WinRateSummary,
    *,
    command: str,
    seed: int,
    resamples: int,
    notes: Sequence[str],
    asked: Mapping[str, PromptRecord] = MappingProxyType({}),
) -> ExperimentResults:
    """One model beside the reference, whose win rate against itself is a half by definition.

    `asked` are the prompts behind instructions that carry passages, to show both apart.
    """
    judged, rate, length = summary.judged, summary.rate, summary.length
    names = {"reference": judged.reference or "the reference", "model": judged.model or "the model"}
    texts = {
        "reference": {pair.instruction: pair.reference for pair in judged.pairs},
        "model": {pair.instruction: pair.answer for pair in judged.pairs},
    }
    shares = {"reference": ScoreTable.from_values(dict.fromkeys(texts["model"], 0.5)), "model": judged.table()}
    tables = {arm: {"win_rate": shares[arm], "characters": _characters(texts[arm])} for arm in names}
    model_metrics = {
        "win_rate": _estimate(rate.win_rate, summary.low, summary.high, rate.n, len(judged.pairs) - rate.n),
        "length_controlled": _estimate(length.win_rate, length.low, length.high, rate.n),
    }
    other = {name: Estimate(mean=0.5, n=len(judged.pairs)) for name in model_metrics}
    metrics = {
        arm: arm_estimates({"characters": tables[arm]["characters"]}, arm=arm, seed=seed, resamples=resamples)
        for arm in names
    }
    return ExperimentResults(
        title=f"{names['model']} against {names['reference']}, judged by {judged.judge or 'an unnamed judge'}",
        created=_now(),
        command=command,
        metrics=METRICS,
        arms={
            "reference": Arm(label=names["reference"], metrics={**other, **metrics["reference"]}),
            "model": Arm(
                label=_apart(names["model"], names["reference"]), metrics={**model_metrics, **metrics["model"]}
            ),
        },
        comparisons=compare_arms(tables, METRICS, [("model", "reference")], seed=seed, resamples=resamples),
        notes=tuple(notes),
        examples=_examples(texts, asked),
    )


def side_by_side(
    judged: Mapping[str, Judgements], *, command: str, seed: int, resamples: int, notes: Sequence[str]
) -> ExperimentResults:
    """Models that were judged against one reference, each compared with the first on the prompts that they share."""
    first, *others = judged
    tables = {name: _tables(judgements) for name, judgements in judged.items()}
    comparisons: list[Comparison] = []
    for name in others:
        pair = dict(zip((name, first), common(judged[name], judged[first]), strict=True))
        shared = {key: _tables(judgements) for key, judgements in pair.items()}
        comparisons += compare_arms(shared, METRICS, [(name, first)], seed=seed, resamples=resamples)
    return ExperimentResults(
        title=f"Win rates against {judged[first].reference or 'the reference'}",
        created=_now(),
        command=command,
        metrics={name: METRICS[name] for name in ("win_rate", "characters")},
        arms={
            name: Arm(label=name, metrics=arm_estimates(judgements, arm=name, seed=seed, resamples=resamples))
            for name, judgements in tables.items()
        },
        comparisons=tuple(comparisons),
        notes=tuple(notes),
        examples=_examples(
            {name: {p.instruction: p.answer for p in judgements.pairs} for name, judgements in judged.items()}, {}
        ),
    )


def _tables(judged: Judgements) -> dict[str, ScoreTable]:
    texts = {pair.instruction: pair.answer for pair in judged.pairs}
    return {"win_rate": judged.table(), "characters": _characters(texts)}


def _characters(texts: Mapping[str, str]) -> ScoreTable:
    return ScoreTable.from_values({key: float(len(text)) for key, text in texts.items()})


def _estimate(mean: float, low: float | None, high: float | None, n: int, unscored: int = 0) -> Estimate:
    """From per cent."""
    ends = (None, None) if low is None or high is None else (low / 100, high / 100)
    over = "" if low is None else "prompts"
    return Estimate(mean=mean / 100, low=ends[0], high=ends[1], n=n, unscored=unscored, over=over)


def _examples(texts: Mapping[str, Mapping[str, str]], asked: Mapping[str, PromptRecord]) -> tuple[Example, ...]:
    """The first prompts that all have answered."""
    shared = [key for key in next(iter(texts.values())) if all(key in answers for answers in texts.values())]
    return tuple(
        Example(
            prompt=asked[key].prompt if key in asked else key,
            passages=asked[key].passages if key in asked else (),
            answers={arm: ExampleAnswer(response=answers[key]) for arm, answers in texts.items()},
        )
        for key in shared[:MAX_EXAMPLES]
    )


def _apart(name: str, other: str) -> str:
    return f"{name} (judged)" if name == other else name


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
