"""How agreement looks in a terminal."""

from rich.console import Console
from rich.table import Table

from spanwise.feedback.statistics import Agreement, Alpha, SpanAgreement


def print_agreement(console: Console, found: Agreement) -> None:
    """Prints alphas with intervals, then the figures of spans; a dash stands where a figure is not defined."""
    console.print(
        f"{found.items:,} items with several annotations, by {len(found.annotators):,} people", soft_wrap=True
    )
    table = Table(box=None)
    for name in ("category", "judged on", "alpha", "95 % interval", "units", "F1", "exact F1", "found", "borders"):
        table.add_column(name, justify="left" if name in ("category", "judged on") else "right")
    for row in (*found.categories, *found.missing):
        table.add_row(row.category, row.level, *_alpha(row.alpha), *_spans(row.spans))
    table.add_row("all spans", "", "", "", "", *_spans(found.spans))
    table.add_row("preferences", "pairs", *_alpha(found.preferences.alpha), "", "", "", "")
    console.print(table)
    for name, value in (
        ("equal preferences", found.preferences.same),
        ("common evidence", found.evidence),
        ("edits, F1 of words", found.edits),
    ):
        console.print(f"{name}: {_number(value)}")
    reasons = {row.alpha.reason for row in (*found.categories, *found.missing)} - {""}
    for reason in sorted(reasons):
        console.print(f"- : {reason}", soft_wrap=True)


def _alpha(alpha: Alpha) -> tuple[str, str, str]:
    interval = f"{_number(alpha.low)} to {_number(alpha.high)}" if alpha.value is not None else "-"
    return _number(alpha.value), interval, f"{alpha.units:,}"


def _spans(figures: SpanAgreement) -> tuple[str, str, str, str]:
    return _number(figures.f1), _number(figures.exact_f1), _number(figures.detection), _number(figures.boundary)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
