"""`spanwise annotate assign`, `change`, `agreement`, `quality` and `users groups`: what managers do in a shell."""

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from spanwise.cli.annotate_serve import Folder, Url, opened
from spanwise.cli.config_help import AsJson
from spanwise.cli.render import print_json
from spanwise.core import ConfigError

if TYPE_CHECKING:
    from spanwise.annotate.manage import Change, ItemFilter
    from spanwise.feedback.statistics import Agreement, Alpha, SpanAgreement

State = Annotated[str, typer.Option(help="Only items that are open, leased, done or skipped.")]
Query = Annotated[str, typer.Option(help="Only items with these words in id or prompt.")]
Round = Annotated[int | None, typer.Option("--round", help="Only items of this round.")]
Batch = Annotated[str, typer.Option("--import-batch", help="Only items of this import.")]


def assign(
    project: Folder,
    names: Annotated[list[str] | None, typer.Argument(help="People, and groups with an @ before them.")] = None,
    *,
    state: State = "",
    query: Query = "",
    round_number: Round = None,
    batch: Batch = "",
    database: Url = None,
) -> None:
    """Keep items for some people or groups; without any name, let everybody have them again."""
    from spanwise.annotate.manage import Change

    _change(project, database, _filter(state, query, round_number, batch), Change(names=tuple(names or ())))


def change(
    project: Folder,
    *,
    overlap: Annotated[int | None, typer.Option(min=1, max=50, help="How many people annotate each item.")] = None,
    priority: Annotated[float | None, typer.Option(help="Higher ones come first.")] = None,
    state: State = "",
    query: Query = "",
    round_number: Round = None,
    batch: Batch = "",
    database: Url = None,
) -> None:
    """Change many items at once: how many people annotate them, and how soon they come."""
    from spanwise.annotate.manage import Change

    chosen = _filter(state, query, round_number, batch)
    _change(project, database, chosen, Change(overlap=overlap, priority=priority))


def undo(project: Folder, change_id: Annotated[str, typer.Argument(metavar="CHANGE")], *, database: Url = None) -> None:
    """Take a change of many items back."""
    with opened(project, database) as (base, described):
        from spanwise.annotate.manage import take_change_back
        from spanwise.annotate.people import local_user

        count = take_change_back(base, described, change_id, by=local_user(base))
        typer.echo(f"{count:,} items have what they had before.")


def agreement(
    project: Folder,
    *,
    resamples: Annotated[int, typer.Option(help="Bootstrap samples for the intervals.")] = 1000,
    database: Url = None,
    as_json: AsJson = False,
) -> None:
    """Show how far annotators agree, on segments, spans, evidence, edits and preferences."""
    with opened(project, database) as (base, described):
        from spanwise.annotate.exchange import measure_agreement

        measured = measure_agreement(base, described, resamples=resamples)
        if as_json:
            print_json(measured.as_dict())
        else:
            _print_agreement(measured)


def quality(project: Folder, *, database: Url = None, as_json: AsJson = False) -> None:
    """Show how far each person can be relied on, agreement by week, and what became of suggestions."""
    with opened(project, database) as (base, described):
        from spanwise.annotate.manage import measure_reliability, measure_uptake

        panel, uptake = measure_reliability(base, described), measure_uptake(base, described)
    if as_json:
        print_json({"reliability": panel.model_dump(mode="json"), "uptake": uptake.model_dump(mode="json")})
        return
    people = [
        (one.name, *_figure(one.alpha, one.low, one.high), *_figure(one.gold, one.gold_low, one.gold_high))
        for one in panel.people
    ]
    _print(("name", "alpha", "95 % interval", "gold score", "95 % interval"), people)
    weeks = [(week.week, f"{week.items:,}", *_figure(week.alpha, week.low, week.high)) for week in panel.weeks]
    _print(("week", "items", "alpha", "95 % interval"), weeks)
    taken = [
        (one.name, *map(str, (one.offered, one.accepted, one.modified, one.dropped, one.added)))
        for one in uptake.people
    ]
    _print(("name", "suggested", "taken over", "changed", "dropped", "added"), taken)
    for one in uptake.people:
        if one.nods:
            typer.echo(
                f"{one.name} takes over nearly all suggestions as they are; look whether they are read.", err=True
            )


def groups(
    project: Folder,
    name: str,
    groups: Annotated[list[str] | None, typer.Argument(help="The groups, and no others.")] = None,
    *,
    database: Url = None,
) -> None:
    """Put somebody into groups, to which items can be assigned, and out of all others."""
    with opened(project, database) as (base, described):
        from spanwise.annotate.manage import set_groups
        from spanwise.annotate.people import local_user

        set_groups(base, described, name, groups or [], by=local_user(base))
        typer.echo(f"{name} is in {', '.join(groups) if groups else 'no group'}.")


def _filter(state: str, query: str, round_number: int | None, batch: str) -> "ItemFilter":
    from spanwise.annotate.manage import STATES, ItemFilter, ItemState

    states: dict[str, ItemState] = {one: one for one in STATES}
    known = states.get(state)
    if state and known is None:
        raise ConfigError(f"--state: {state!r:.40} is no state; choose one of {', '.join(STATES)}.")
    return ItemFilter(state=known, query=query, round=round_number, batch_id=batch)


def _change(project: Folder, database: Url, chosen: "ItemFilter", wanted: "Change") -> None:
    from spanwise.annotate.manage import change_items
    from spanwise.annotate.people import local_user

    with opened(project, database) as (base, described):
        row = change_items(base, described, chosen, wanted, by=local_user(base))
    typer.echo(f"Changed {row.items:,} items; to take it back: spanwise annotate undo {project} {row.id}")


def _figure(value: float | None, low: float | None, high: float | None) -> tuple[str, str]:
    interval = f"{low:.2f} to {high:.2f}" if low is not None and high is not None else "-"
    return ("-" if value is None else f"{value:.2f}"), interval


def _print(columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    table = Table(box=None)
    for column in columns:
        table.add_column(column, justify="left" if column in ("name", "week") else "right")
    for row in rows:
        table.add_row(*row)
    Console().print(table)


def _print_agreement(agreement_figures: "Agreement") -> None:
    """Prints alphas with intervals, then the figures of spans; a dash stands where a figure is not defined."""
    console = Console()
    console.print(
        f"{agreement_figures.items:,} items with several annotations, by {len(agreement_figures.annotators):,} people",
        soft_wrap=True,
    )
    table = Table(box=None)
    for name in ("category", "judged on", "alpha", "95 % interval", "units", "F1", "exact F1", "found", "borders"):
        table.add_column(name, justify="left" if name in ("category", "judged on") else "right")
    for row in (*agreement_figures.categories, *agreement_figures.missing):
        table.add_row(row.category, row.level, *_alpha(row.alpha), *_span_figures(row.spans))
    table.add_row("all spans", "", "", "", "", *_span_figures(agreement_figures.spans))
    table.add_row("preferences", "pairs", *_alpha(agreement_figures.preferences.alpha), "", "", "", "")
    console.print(table)
    for name, value in (
        ("equal preferences", agreement_figures.preferences.same),
        ("common evidence", agreement_figures.evidence),
        ("edits, F1 of words", agreement_figures.edits),
    ):
        console.print(f"{name}: {_number(value)}")
    reasons = {row.alpha.reason for row in (*agreement_figures.categories, *agreement_figures.missing)} - {""}
    for reason in sorted(reasons):
        console.print(f"- : {reason}", soft_wrap=True)


def _alpha(alpha: "Alpha") -> tuple[str, str, str]:
    interval = f"{_number(alpha.low)} to {_number(alpha.high)}" if alpha.low is not None else "-"
    return _number(alpha.value), interval, f"{alpha.units:,}"


def _span_figures(figures: "SpanAgreement") -> tuple[str, str, str, str]:
    return _number(figures.f1), _number(figures.exact_f1), _number(figures.detection), _number(figures.boundary)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
