"""Runs: their list, their curves, and the samples as heat maps."""

from collections.abc import Mapping
from typing import Any

from spanwise.annotate.rounds import Curves, HeatSample, RunIndex, RunRow, SampleRow, heat_sample, largest, rows
from spanwise.annotate.store import UnknownError
from spanwise.annotate.web.endpoints import Call, Endpoint, Page
from spanwise.feedback import Record

PAGE_SIZE = 50


class RunList(Record):
    """All runs, the latest first."""

    rows: tuple[RunRow, ...]


class SampleList(Record):
    """Some samples of a run, and what full colour means on the run's scale."""

    total: int
    rows: tuple[SampleRow, ...]
    steps: tuple[int, ...]
    largest: Mapping[str, float]


def _index(call: Call) -> RunIndex:
    return call.site.part(RunIndex)


def show_runs(call: Call) -> Page:
    """The list of runs."""
    index = _index(call)
    return Page("runs.html", {"rows": index.rows(), "root": index.root})


def show_run(call: Call) -> Page:
    """The curves of a run."""
    run_id, index = call.path("run_id"), _index(call)
    row = index.row(run_id)
    others = [{"id": other.id, "name": other.name} for other in index.rows() if other.id != run_id]
    return Page(
        "run.html", {"row": row, "config": index.config(run_id)}, {"id": run_id, "name": row.name, "others": others}
    )


def show_samples(call: Call) -> Page:
    """The heat map of a run's samples."""
    row = _index(call).row(call.path("run_id"))
    return Page("heatmap.html", {"row": row}, {"id": row.id, "name": row.name})


def api_runs(call: Call) -> RunList:
    """All runs, the latest first."""
    return RunList(rows=tuple(_index(call).rows()))


def api_curves(call: Call) -> Curves:
    """A run's curves, of steps behind `after` where that is given, in at most `bins` bins."""
    after = call.query("after")
    since = int(after) if after.isascii() and after.isdigit() and len(after) < 12 else None
    return _index(call).curves(call.path("run_id"), after=since, bins=max(2, call.number("bins", 400, most=5000)))


def api_samples(call: Call) -> SampleList:
    """Samples of a run, of one step where `step` is given."""
    samples = _index(call).samples(call.path("run_id"))
    step = call.number("step", 0) if call.query("step") else None
    total, page = rows(samples, step=step, offset=call.number("offset", 0), limit=PAGE_SIZE)
    steps = tuple(sorted({sample["step"] for sample in samples}))
    return SampleList(total=total, rows=tuple(page), steps=steps, largest=largest(samples))


def api_sample(call: Call) -> HeatSample:
    """One sample with the value of each token on every channel."""
    samples: list[dict[str, Any]] = _index(call).samples(call.path("run_id"))
    index = _number(call.path("index"))
    if not 0 <= index < len(samples):
        raise UnknownError(f"The run has {len(samples)} samples; there is none at this place.")
    return heat_sample(samples, index)


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1


ENDPOINTS = (
    Endpoint("GET", "/runs", show_runs, "view"),
    Endpoint("GET", "/runs/{run_id}", show_run, "view"),
    Endpoint("GET", "/runs/{run_id}/samples", show_samples, "view"),
    Endpoint("GET", "/api/v1/runs", api_runs, "view", gives=RunList, scope="read"),
    Endpoint("GET", "/api/v1/runs/{run_id}/curves", api_curves, "view", gives=Curves, scope="read"),
    Endpoint("GET", "/api/v1/runs/{run_id}/samples", api_samples, "view", gives=SampleList, scope="read"),
    Endpoint("GET", "/api/v1/runs/{run_id}/samples/{index}", api_sample, "view", gives=HeatSample, scope="read"),
)
