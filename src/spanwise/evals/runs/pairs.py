"""Two experiment folders arm by arm: paired differences where both measured the same prompts with the same seeds.

Arms are paired by name, and the later folder's free rivals say whether its arm is better. Values per prompt lie in
`<arm>/seed-<n>/scores.json` or in `outcomes/seed-<n>.json`; means alone (results.json) cannot be paired, and that is
said, never passed over.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spanwise.core import read_json
from spanwise.evals.rivals import arm_name
from spanwise.evals.runs.scores import SCORES_FILE, RunScores
from spanwise.evals.statistics import Comparison, ExperimentResults, ScoreTable, compare_arms

Tables = dict[int, dict[str, ScoreTable]]
"""Score tables by seed and metric."""


@dataclass(frozen=True)
class PairedExperiments:
    """What could be paired, and sentences about what could not."""

    comparisons: tuple[Comparison, ...]
    """The later folder's arm less the first's of the same name; `n` prompts, `seeds` seeds."""
    notes: tuple[str, ...]


def pair_experiments(
    first: Path, other: Path, names: tuple[str, str], *, seed: int = 0, resamples: int = 2000
) -> PairedExperiments:
    """`other` less `first`, called by their `names` in what is said."""
    base, later = ExperimentResults.load(first), ExperimentResults.load(other)
    shared = [arm for arm in later.arms if arm in base.arms]
    if not shared:
        return PairedExperiments((), (f"{names[1]} and {names[0]} have no arm of one name: nothing can be paired.",))
    asked, answered = ({later_tables.prompt for later_tables in results.examples} for results in (base, later))
    if asked and answered and not asked & answered:
        note = f"{names[1]} and {names[0]} show answers to different prompts: their ids are not of the same prompts."
        return PairedExperiments((), (note,))
    comparisons: list[Comparison] = []
    notes: list[str] = []
    for arm in shared:
        later_tables, two = arm_tables(other, arm), arm_tables(first, arm)
        paired, hindrances = _pair(later_tables, two, base, later)
        notes += [f"{arm}: {sentence}" for sentence in hindrances]
        titles = f"{names[1]}: {arm}", f"{names[0]}: {arm}"
        tables = dict(zip(titles, paired, strict=True))
        held = {
            f"{names[1]}: {rival}": _pair(arm_tables(other, rival), two, base, later)[0][0]
            for rival in later.arms[arm].rivals
        }
        free = {titles[0]: [name for name, rival in held.items() if _alike(rival, paired[0])]}
        comparisons += compare_arms(tables | held, base.metrics, [titles], rivals=free, seed=seed, resamples=resamples)
    left = sorted(set(later.arms) ^ set(base.arms))
    notes += [f"Arms of one folder only, not paired: {', '.join(left)}."] if left else []
    return PairedExperiments(tuple(comparisons), tuple(notes))


def arm_tables(folder: Path, arm: str) -> Tables:
    """The values per prompt of an arm by seed; empty where the folder keeps none."""
    by_seed: Tables = {}
    policy = arm.partition("@")[0]
    for path in sorted((folder / policy).glob(f"seed-*/{SCORES_FILE}")):
        if (number := _seed(path.parent.name)) is not None:
            scores = RunScores.load(path.parent)
            named = {arm_name(policy, decoding): other for decoding, other in scores.also.items()} | {policy: scores}
            by_seed |= {number: named[arm].tables(number)} if arm in named else {}
    for path in () if by_seed else sorted((folder / "outcomes").glob("seed-*.json")):
        value: Any = read_json(path)
        if (number := _seed(path.stem)) is not None and arm in value["tables"]:
            by_seed[number] = {
                metric: _table(value["ids"], stored, number) for metric, stored in value["tables"][arm].items()
            }
    return by_seed


def _seed(name: str) -> int | None:
    known = re.fullmatch(r"seed-(\d+)", name)
    return int(known[1]) if known else None


def _table(ids: list[str], stored: Mapping[str, list[float]], seed: int) -> ScoreTable:
    return ScoreTable(tuple(ids), np.array([stored["totals"]]), np.array([stored["counts"]]), (seed,))


def _pair(
    first: Tables, two: Tables, base: ExperimentResults, later: ExperimentResults
) -> tuple[tuple[dict[str, ScoreTable], dict[str, ScoreTable]], list[str]]:
    """Both arms' tables over the seeds and prompts that they share, and what stood in the way."""
    seeds = [seed for seed in first if seed in two]
    if not first or not two:
        return ({}, {}), ["no values per prompt are kept, so its means cannot be paired."]
    if not seeds:
        return ({}, {}), [f"ran with seeds {_listed(first)} and {_listed(two)}: none is shared, nothing can be paired."]
    notes = [f"paired over the seeds {_listed(seeds)} of both only."] if {*first} ^ {*two} else []
    metrics = [m for m in first[seeds[0]] if all(m in tables[seed] for tables in (first, two) for seed in seeds)]
    alike = [m for m in metrics if later.metrics.get(m) == base.metrics.get(m)]
    if len(alike) < len(metrics):
        notes.append(f"{', '.join(m for m in metrics if m not in alike)} are not measured alike in both.")
    ids = {seed: _shared(first[seed][alike[0]].ids, two[seed][alike[0]].ids) for seed in seeds} if alike else {}
    if not ids or not all(ids.values()):
        return ({}, {}), [*notes, "no prompt id is in both: nothing can be paired."]
    if len({len(tables) for tables in ids.values()}) > 1:
        return ({}, {}), [*notes, "the seeds share different numbers of prompts: nothing can be paired."]
    alone = sum(len({*first[seed][alike[0]].ids} ^ {*two[seed][alike[0]].ids}) for seed in seeds)
    if alone:
        notes.append(f"{alone:,} prompts are of one folder only and do not count.")
    stacked = tuple({m: _stacked({s: tables[s][m] for s in seeds}, ids) for m in alike} for tables in (first, two))
    return (stacked[0], stacked[1]), notes


def _alike(first: Mapping[str, ScoreTable], second: Mapping[str, ScoreTable]) -> bool:
    """Whether both were measured on the same prompts and seeds, so that they can be compared."""
    return bool(first) and all(
        (table.seeds, set(table.ids)) == (second[metric].seeds, set(second[metric].ids))
        for metric, table in first.items()
        if metric in second
    )


def _stacked(by_seed: Mapping[int, ScoreTable], ids: Mapping[int, tuple[str, ...]]) -> ScoreTable:
    """Over seeds; where each has prompts of its own, a prompt's place stands for it."""
    same = len(set(ids.values())) == 1
    parts: dict[int, ScoreTable] = {}
    for seed, table in by_seed.items():
        order = [table.ids.index(key) for key in ids[seed]]
        names = ids[seed] if same else tuple(map(str, range(len(order))))
        parts[seed] = ScoreTable(names, table.totals[:, order], table.counts[:, order], (seed,), table.mask[:, order])
    return ScoreTable.stack(parts)


def _shared(first: tuple[str, ...], second: tuple[str, ...]) -> tuple[str, ...]:
    known = set(second)
    return tuple(key for key in first if key in known)


def _listed(seeds: Tables | list[int]) -> str:
    return ", ".join(map(str, sorted(seeds)))
