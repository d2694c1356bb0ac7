"""Outcomes of seeds as files: score tables stacked over seeds when they come back, and where they were made."""

import datetime
import platform
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict

from spanwise.evals.statistics import ScoreTable


class StoredTable(BaseModel):
    """One seed's score table."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ids: list[str]
    totals: list[float]
    counts: list[float]
    scored: list[bool]

    @classmethod
    def of(cls, table: ScoreTable) -> "StoredTable":
        """The table of one seed as plain values."""
        return cls(
            ids=list(table.ids),
            totals=table.totals[0].tolist(),
            counts=table.counts[0].tolist(),
            scored=table.mask[0].tolist(),
        )

    def table(self, seed: int) -> ScoreTable:
        """The table again, as that of `seed`."""
        return ScoreTable(
            tuple(self.ids), np.array([self.totals]), np.array([self.counts]), (seed,), np.array([self.scored])
        )


def stacked(by_seed: Mapping[int, Mapping[str, StoredTable]], metrics: Iterable[str]) -> dict[str, ScoreTable]:
    """One table over all seeds for each metric."""
    return {
        metric: ScoreTable.stack({seed: tables[metric].table(seed) for seed, tables in by_seed.items()})
        for metric in metrics
    }


def this_commit() -> str:
    """The commit of the code, short; "no commit" outside of a clone."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "no commit"


def today() -> str:
    """The date in UTC, as results name it."""
    return datetime.datetime.now(datetime.UTC).date().isoformat()


def this_machine() -> str:
    """System, processor and Python, as results name them."""
    return f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
