"""`docs/results/reward_sources.md` as a function of the measured rows."""

from collections.abc import Mapping, Sequence

import numpy as np

from experiments.lib.outcomes import this_commit, this_machine, today
from experiments.lib.pages import page, table
from experiments.reward_sources.measure import SourceRow, interval


def reward_sources_page(by_seed: Mapping[int, Sequence[SourceRow]], command: str) -> str:
    """The page in Markdown."""
    worlds = dict.fromkeys(row.world for rows in by_seed.values() for row in rows)
    parts = [
        "# Which reward sources know where an answer is wrong",
        f"Made by `{command}` at commit {this_commit()} on {today()}, seeds {', '.join(map(str, by_seed))}, on "
        f"{this_machine()}, one thread. AUROC: how well low scores find the marked words of an answer, within each "
        "answer, the mean over answers and its 95 % interval by bootstrap over questions of all seeds; 0.5 is chance, "
        "and what one score for a whole answer has. The placebo is the same source with its scores dealt out anew "
        "within each answer. What is missing from an answer is no word and is not asked for. Costs were measured while "
        "other programs ran; heads of one model share a reading, so the second of them costs nothing more.",
    ]
    for world in worlds:
        parts += [f"## {world[0].upper()}{world[1:]} marks", _table(by_seed, world)]
    return page(parts)


def _table(by_seed: Mapping[int, Sequence[SourceRow]], world: str) -> str:
    rows: dict[str, list[tuple[int, SourceRow]]] = {}
    for seed, measured in by_seed.items():
        for row in measured:
            if row.world == world:
                rows.setdefault(row.source, []).append((seed, row))
    head = ["source", "speaks of", "AUROC [interval]", "placebo", "ms an answer", "not scored", "models it needs"]
    return table(head, [_cells(title, same) for title, same in rows.items()])


def _cells(title: str, rows: Sequence[tuple[int, SourceRow]]) -> list[str]:
    first = rows[0][1]
    aurocs = {f"{seed}/{question}": values for seed, row in rows for question, values in row.aurocs.items()}
    mean, low, high = interval(aurocs)
    of_all = [row for _, row in rows]
    return [
        title,
        first.density,
        f"{mean:.3f} [{low:.3f}, {high:.3f}]",
        f"{np.mean([row.placebo for row in of_all]):.3f}",
        f"{np.mean([row.cost_ms for row in of_all]):.2f}",
        f"{100 * np.mean([row.unscored for row in of_all]):.1f} %",
        first.models,
    ]
