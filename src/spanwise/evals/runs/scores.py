"""`scores.json` of a run folder: what was measured on the run's answers to held-out prompts, prompt by prompt.

Means alone could not be joined over seeds with an interval; with the values per prompt an experiment is a function of
its run folders. Knows nothing of who measured.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar

import numpy as np
from pydantic import Field

from spanwise.evals.statistics import Example, ExampleAnswer, MetricInfo, Part, ScoreTable, Stored
from spanwise.feedback import Passage

SCORES_FILE = "scores.json"


class ShownAnswer(Part):
    """One answer for the report."""

    prompt: str
    passages: tuple[Passage, ...] = ()
    answer: ExampleAnswer


class _Column(Part):
    totals: tuple[float, ...]
    counts: tuple[float, ...]
    scored: tuple[bool, ...]


class RunScores(Stored):
    """Metrics per prompt of one run and seed, and its first answers."""

    FILE: ClassVar[str] = SCORES_FILE
    REMEDY: ClassVar[str] = "measure the run again"

    ids: tuple[str, ...]
    metrics: dict[str, MetricInfo]
    columns: dict[str, _Column]
    answers: tuple[ShownAnswer, ...] = ()
    seconds: float = 0.0
    """Wall-clock seconds of training and measuring."""
    decoding: str = ""
    """How these answers were decoded; empty where that is not told."""
    also: "dict[str, RunScores]" = Field(default_factory=dict)
    """The same policy's answers to the same prompts under other decodings, by what these are called."""

    @classmethod
    def of(
        cls,
        tables: Mapping[str, ScoreTable],
        metrics: Mapping[str, MetricInfo],
        *,
        answers: Sequence[ShownAnswer] = (),
        seconds: float = 0.0,
        decoding: str = "",
        also: "Mapping[str, RunScores]" = MappingProxyType({}),
    ) -> "RunScores":
        """The scores of one seed; raises DataError when the tables are of different prompts."""
        first = next(iter(tables.values()))
        aligned = {name: table.reorder(first.ids, place=name) for name, table in tables.items()}
        return cls(
            ids=first.ids,
            metrics={name: metrics[name] for name in tables},
            columns={
                name: _Column(
                    totals=tuple(table.totals[0].tolist()),
                    counts=tuple(table.counts[0].tolist()),
                    scored=tuple(table.mask[0].tolist()),
                )
                for name, table in aligned.items()
            },
            answers=tuple(answers),
            seconds=seconds,
            decoding=decoding,
            also=dict(also),
        )

    def tables(self, seed: int) -> dict[str, ScoreTable]:
        """One table per metric."""
        return {
            name: ScoreTable(
                self.ids,
                np.array([column.totals]),
                np.array([column.counts]),
                (seed,),
                np.array([column.scored], dtype=np.bool_),
            )
            for name, column in self.columns.items()
        }


def join_seeds(by_seed: Mapping[int, RunScores]) -> dict[str, ScoreTable]:
    """One table per metric over all seeds; raises DataError when they were measured on different prompts."""
    tables = {seed: scores.tables(seed) for seed, scores in by_seed.items()}
    shared = [
        name for name in next(iter(tables.values())) if all(name in seed_tables for seed_tables in tables.values())
    ]
    return {
        name: ScoreTable.stack({seed: seed_tables[name] for seed, seed_tables in tables.items()}) for name in shared
    }


def join_answers(arms: Mapping[str, RunScores]) -> list[Example]:
    """The answers of several arms to the same prompts, prompt by prompt in the order of the first arm."""
    by_prompt: dict[str, Example] = {}
    for arm, scores in arms.items():
        for shown in scores.answers:
            before = by_prompt.get(shown.prompt) or Example(prompt=shown.prompt, passages=shown.passages)
            by_prompt[shown.prompt] = before.model_copy(update={"answers": {**before.answers, arm: shown.answer}})
    return list(by_prompt.values())
