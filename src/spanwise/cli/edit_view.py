"""How aligned pairs and files of edits look in a terminal.

Marks as wdiff sets them: [-gone-] and {+new+}, in colour where the terminal has it, so that nothing is told by
colour alone.
"""

from collections.abc import Sequence

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from spanwise.cli.feedback_tables import count
from spanwise.feedback.statistics import SUSPICIOUS, EditFigures, Fingerprint, Refusal, Spread, Validation
from spanwise.text import TextEdit

SHOWN_REFUSALS = 20


def print_edit(console: Console, edit: TextEdit) -> None:
    """Prints the original and the edited text in one, then how much changed."""
    shown = Text()
    for part in edit.parts:
        gone, new = part.original.of(edit.original), part.edited.of(edit.edited)
        if part.kept:
            shown.append(_lines(gone))
            continue
        if gone:
            shown.append(f"[-{_lines(gone)}-]", style="red strike")
        if new:
            shown.append(f"{{+{_lines(new)}+}}", style="green underline")
    console.print(shown, soft_wrap=True)
    lost, new_words = edit.changed_words()
    places = count(len(edit.changes), "change")
    summary = f"{places} by {edit.method}: {count(lost, 'word')} of the original, {new_words:,} of the edited text."
    console.print(Text(summary, style="dim"), soft_wrap=True)


def print_figures(console: Console, title: str, figures: EditFigures) -> None:
    """Prints the figures of a file of pairs."""
    head = f"{count(figures.pairs, 'pair')}, {figures.identical:,} of them identical"
    console.print(Text.assemble((_visible(title), "bold"), f": {head}"), soft_wrap=True)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("per pair", "mean", "median", "p90", "max"):
        table.add_column(name, justify="left" if name == "per pair" else "right")
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
    who = ", ".join(f"{_visible(name)} ({number:,})" for name, number in figures.editors.items())
    console.print(Text(f"Editors: {who or 'none'}."), soft_wrap=True)


def print_validation(console: Console, title: str, found: Validation, style: Fingerprint | None) -> None:
    """Prints how many pairs are fit, why the others are not, and whether the editor's style gives the edits away."""
    total = len(found.kept) + len(found.refused)
    console.print(
        Text.assemble((_visible(title), "bold"), f": {len(found.kept):,} of {count(total, 'pair')} are fit."),
        soft_wrap=True,
    )
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(justify="right")
    for reason, number in found.counts.items():
        table.add_row(f"{number:,}", reason)
    if found.refused:
        console.print(Padding(table, (1, 0)))
    for refusal in found.refused[:SHOWN_REFUSALS]:
        console.print(Text(_line(refusal)), soft_wrap=True)
    if len(found.refused) > SHOWN_REFUSALS:
        console.print(f"... and {len(found.refused) - SHOWN_REFUSALS:,} more; --json lists all of them.")
    console.print(Text(_fingerprint(style)), soft_wrap=True)


def _fingerprint(style: Fingerprint | None) -> str:
    if style is None:
        return "Fingerprint: fewer than 20 fit pairs, too few to tell."
    areas = f"words {style.words:.2f}, style {style.style:.2f}, length alone {style.length:.2f}"
    head = f"Fingerprint: area under the curve, edited against original, out of fold: {areas}"
    if not style.suspicious:
        return f"{head}; below {SUSPICIOUS}, so that the manner of the editor does not give the edits away."
    telling = " ".join(_visible(word) for word in style.telling)
    return f"{head}. From {SUSPICIOUS} on a reward model can learn the editor's manner instead of quality: {telling}"


def _line(refusal: Refusal) -> str:
    name = f" ({_visible(refusal.pair.id)})" if refusal.pair.id else ""
    detail = f": {refusal.detail}" if refusal.detail else ""
    return f"pair {refusal.position + 1}{name}: {refusal.reason}{detail}"


def _numbers(spread: Spread) -> Sequence[str]:
    return [f"{value:,.2f}".rstrip("0").rstrip(".") for value in (spread.mean, spread.median, spread.p90, spread.max)]


def _lines(text: str) -> str:
    """The text as it is, line by line, without what could steer the terminal."""
    return "\n".join(_visible(line) for line in text.split("\n"))


def _visible(text: str) -> str:
    """Control characters as escapes, so that a hostile file cannot steer the terminal."""
    return "".join(mark if mark.isprintable() else ascii(mark)[1:-1] for mark in text)
