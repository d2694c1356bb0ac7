"""How figures and problems of feedback, of edits and of annotators look in a terminal."""

from collections.abc import Sequence

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from spanwise.cli.render import count, plain_table, visible
from spanwise.feedback import Problem
from spanwise.feedback.statistics import (
    SUSPICIOUS,
    Agreement,
    Alpha,
    EditFigures,
    Fingerprint,
    Refusal,
    SpanAgreement,
    Spread,
    Statistics,
    Validation,
)

SHOWN = 20
"""How many problems or refusals are listed one by one."""


def print_problems(console: Console, problems: Sequence[Problem], hint: str = "") -> None:
    """Lists the first problems, one line each, says how many there are, and ends with `hint`."""
    for problem in problems[:SHOWN]:
        console.print(Text(str(problem)), soft_wrap=True)
    more = len(problems) - SHOWN
    if more > 0:
        console.print(f"... and {more:,} more problems; --json lists all of them.", soft_wrap=True)
    records = len({problem.place for problem in problems})
    total = f"{count(len(problems), 'problem')} in {count(records, 'record')}. {hint}"
    console.print(total.rstrip(), soft_wrap=True, style="bold", highlight=False)


def print_statistics(console: Console, title: str, figures: Statistics) -> None:
    """Prints tables of spans, missing information, preferences, edits and lengths, then the warnings."""
    head = f"{figures.items:,} items, {figures.responses:,} responses, {figures.marked_responses:,} of them marked"
    console.print(Text.assemble((title, "bold"), f": {head}"), soft_wrap=True)
    tables = (_spans(figures), _missing(figures), _preferences(figures), _edits(figures), _lengths(figures))
    for table in tables:
        if table.row_count:
            console.print(Padding(table, (1, 0, 0, 0)))
    for warning in figures.warnings:
        console.print(Padding(Text.assemble(("! ", "bold yellow"), visible(warning)), (1, 0, 0, 0)))


def print_figures(console: Console, title: str, figures: EditFigures) -> None:
    """Prints the figures of a file of pairs."""
    head = f"{count(figures.pairs, 'pair')}, {figures.identical:,} of them identical"
    console.print(Text.assemble((visible(title), "bold"), f": {head}"), soft_wrap=True)
    table = plain_table("per pair", "mean", "median", "p90", "max")
    rows = {
        "changes": figures.changes_per_pair,
        "words of the original": figures.original_words,
        "words of the edited text": figures.edited_words,
        "share of words changed": figures.changed_share,
        "length ratio": figures.length_ratio,
    }
    for name, spread in rows.items():
        if spread:
            table.add_row(name, *_numbers(spread))
    console.print(Padding(table, (1, 0)))
    kinds = ", ".join(f"{number:,} {name}s" for name, number in figures.changes.items())
    only = f"{figures.only_insertions:,} pairs only insert, {figures.only_deletions:,} only delete"
    console.print(f"Changes: {kinds}; {only}.", soft_wrap=True, highlight=False)
    who = ", ".join(f"{visible(name)} ({number:,})" for name, number in figures.editors.items())
    console.print(Text(f"Editors: {who or 'none'}."), soft_wrap=True)


def print_validation(console: Console, title: str, found: Validation, style: Fingerprint | None) -> None:
    """Prints how many pairs are fit, why the others are not, and whether the editor's style gives the edits away."""
    total = len(found.kept) + len(found.refused)
    console.print(
        Text.assemble((visible(title), "bold"), f": {len(found.kept):,} of {count(total, 'pair')} are fit."),
        soft_wrap=True,
    )
    table = plain_table("pairs", "reason", left=0)
    table.show_header = False
    for reason, number in found.counts.items():
        table.add_row(f"{number:,}", reason)
    if found.refused:
        console.print(Padding(table, (1, 0)))
    for refusal in found.refused[:SHOWN]:
        console.print(Text(_refusal(refusal)), soft_wrap=True)
    if len(found.refused) > SHOWN:
        console.print(f"... and {len(found.refused) - SHOWN:,} more; --json lists all of them.")
    console.print(Text(_fingerprint(style)), soft_wrap=True)


def print_agreement(console: Console, found: Agreement) -> None:
    """Prints alphas with intervals, then the figures of spans; a dash stands where a figure is not defined."""
    console.print(
        f"{found.items:,} items with several annotations, by {len(found.annotators):,} people", soft_wrap=True
    )
    table = Table(box=None)
    for name in ("category", "judged on", "alpha", "95 % interval", "units", "F1", "exact F1", "found", "borders"):
        table.add_column(name, justify="left" if name in ("category", "judged on") else "right")
    for row in (*found.categories, *found.missing):
        table.add_row(row.category, row.level, *_alpha(row.alpha), *_span_figures(row.spans))
    table.add_row("all spans", "", "", "", "", *_span_figures(found.spans))
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


def _add(table: Table, name: str, *cells: str) -> None:
    table.add_row(Text(visible(name)), *cells)


def _spans(figures: Statistics) -> Table:
    table = plain_table("category", "spans", "items", "words", "median", "p90", "max", "< 5", "text", title="Spans")
    for name, found in figures.categories.items():
        spread = [_mean(found.words), *(_whole(found.words, key) for key in ("median", "p90", "max"))]
        _add(
            table,
            name,
            f"{found.count:,}",
            f"{found.items:,}",
            *spread,
            str(found.short),
            _rate(found.share_of_characters),
        )
    if figures.categories:
        _add(table, "all", f"{figures.spans:,}", *[""] * 6, _rate(figures.share_of_characters))
    return table


def _missing(figures: Statistics) -> Table:
    table = plain_table("category", "marks", "items", title="Missing information")
    for name, marks in figures.missing_by_category.items():
        _add(table, name, f"{marks:,}")
    if figures.missing:
        _add(table, "all", f"{figures.missing:,}", f"{figures.missing_details.items:,}")
    return table


def _preferences(figures: Statistics) -> Table:
    found = figures.preferences
    total = found.first + found.second + found.tie
    table = plain_table("outcome", "pairs", "share", title="Preferences")
    if total:
        for name, pairs in (
            ("first listed wins", found.first),
            ("second listed wins", found.second),
            ("tie", found.tie),
        ):
            _add(table, name, f"{pairs:,}", _rate(pairs / total))
        for position, rate in enumerate(found.win_rate_by_position):
            _add(table, f"decided pairs won by response {position}", "", _rate(rate))
    return table


def _edits(figures: Statistics) -> Table:
    edits = figures.edits
    table = plain_table("figure", "value", title="Corrections")
    if edits.corrected:
        _add(table, "corrected responses", f"{edits.corrected:,}")
        _add(table, "  unchanged / empty", f"{edits.identical:,} / {edits.blank:,}")
        _add(table, "changed places, mean", _mean(edits.blocks))
        _add(table, "words deleted / inserted, mean", f"{_mean(edits.deleted_words)} / {_mean(edits.inserted_words)}")
        _add(table, "words kept", _rate(edits.kept_words))
        _add(table, "  outside spans", _rate(edits.kept_words_outside_spans))
        _add(table, "  inside spans", _rate(edits.kept_words_inside_spans))
    return table


def _lengths(figures: Statistics) -> Table:
    lengths = figures.lengths
    table = plain_table("text", "mean", "median", "p90", "max", title="Words")
    rows = {"prompt": lengths.prompt, "all passages": lengths.context, "reference": lengths.references}
    rows |= {f"response {position}": spread for position, spread in enumerate(lengths.responses)}
    for name, spread in (rows | {"correction": lengths.corrections}).items():
        if spread:
            _add(table, name, _mean(spread), *(_whole(spread, key) for key in ("median", "p90", "max")))
    return table


def _fingerprint(style: Fingerprint | None) -> str:
    if style is None:
        return "Fingerprint: fewer than 20 fit pairs, too few to tell."
    areas = f"words {style.words:.2f}, style {style.style:.2f}, length alone {style.length:.2f}"
    head = f"Fingerprint: area under the curve, edited against original, out of fold: {areas}"
    if not style.suspicious:
        return f"{head}; below {SUSPICIOUS}, so that the manner of the editor does not give the edits away."
    telling = " ".join(visible(word) for word in style.telling)
    return f"{head}. From {SUSPICIOUS} on a reward model can learn the editor's manner instead of quality: {telling}"


def _refusal(refusal: Refusal) -> str:
    name = f" ({visible(refusal.pair.id)})" if refusal.pair.id else ""
    detail = f": {refusal.detail}" if refusal.detail else ""
    return f"pair {refusal.position + 1}{name}: {refusal.reason}{detail}"


def _numbers(spread: Spread) -> Sequence[str]:
    return [f"{value:,.2f}".rstrip("0").rstrip(".") for value in (spread.mean, spread.median, spread.p90, spread.max)]


def _alpha(alpha: Alpha) -> tuple[str, str, str]:
    interval = f"{_number(alpha.low)} to {_number(alpha.high)}" if alpha.value is not None else "-"
    return _number(alpha.value), interval, f"{alpha.units:,}"


def _span_figures(figures: SpanAgreement) -> tuple[str, str, str, str]:
    return _number(figures.f1), _number(figures.exact_f1), _number(figures.detection), _number(figures.boundary)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _mean(spread: Spread | None) -> str:
    return f"{spread.mean:.1f}" if spread else ""


def _whole(spread: Spread | None, key: str) -> str:
    return f"{getattr(spread, key):g}" if spread else ""


def _rate(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"
