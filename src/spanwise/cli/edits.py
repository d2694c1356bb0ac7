"""`spanwise edits`: align a text with its edit, look at files of edits, check them, have a model make them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from spanwise.cli.config_help import AsJson, ConfigPath, Overrides, config_command
from spanwise.cli.feedback import AllowLoss, Offsets, leave_if_bad, not_empty, unit_of
from spanwise.cli.render import count, plain_table, print_json, visible
from spanwise.cli.runner import on_device
from spanwise.core import ConfigError, DataError, read_text, write_text
from spanwise.feedback import EditPair, chain_of, write_records
from spanwise.feedback.formats import Reading, checked_edits, names_of_formats, pairs_as, read_edits
from spanwise.feedback.statistics import (
    SUSPICIOUS,
    EditFigures,
    EditRules,
    Fingerprint,
    Refusal,
    Spread,
    Tokenize,
    Validation,
    describe_pairs,
    fingerprint,
    validate_edits,
)
from spanwise.text import (
    METHODS,
    UNITS,
    ShownEdit,
    Span,
    TextEdit,
    align_texts,
    check_text,
    edit_page,
    normalize_newlines,
)

app = typer.Typer(name="edits", help="Align, check and make minimal edits.", no_args_is_help=True)

FILE_ENDINGS = {".txt", ".md", ".html", ".json", ".jsonl", ".csv", ".tsv", ".yaml", ".gz"}
"""A word that ends in one of these is meant as the name of a file, also where there is none."""
SHOWN_REFUSALS = 20
"""How many are listed one by one."""

Source = Annotated[Path, typer.Argument(metavar="FILE", help="The file; .gz is read as well.", show_default=False)]
Form = Annotated[
    str, typer.Option("--format", help=f"The format of the file: {', '.join(names_of_formats('read as edits'))}.")
]


@app.command()
def align(
    original: Annotated[str, typer.Argument(metavar="ORIGINAL", help="A text, or the name of a file that holds it.")],
    edited: Annotated[str, typer.Argument(metavar="EDITED", help="The edited text, or the name of its file.")],
    *,
    method: Annotated[str, typer.Option(help=f"One of {', '.join(METHODS)}.")] = "matching-blocks",
    unit: Annotated[str, typer.Option(help=f"What is aligned: one of {', '.join(UNITS)}.")] = "word",
    merge_gap: Annotated[
        int | None, typer.Option(min=0, help="Kept units between two changes that join them; 2 for matching-blocks.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write the pair side by side as an HTML page.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show what was kept, inserted, deleted and replaced.

    An argument that names a file is read; any other is the text itself. Offsets count Unicode code points, ends are
    exclusive, line ends count as one.
    """
    texts = [_text(argument) for argument in (original, edited)]
    edit = align_texts(*texts, method=method, unit=unit, merge_gap=merge_gap)  # type: ignore[arg-type]
    if html is not None:
        write_text(html, edit_page("Aligned edit", [ShownEdit(edit)]))
    if as_json:
        print_json(_parts(edit))
    else:
        _print_edit(Console(), edit)


@app.command()
def stats(
    file: Source,
    *,
    form: Form = "pairs",
    offsets: Offsets = "auto",
    allow_loss: AllowLoss = None,
    as_json: AsJson = False,
) -> None:
    """Show how much a file of edits changes, how, and by whom.

    Bad records are left out of the figures, listed on standard error, and make the exit code 2, and so does feedback
    that is not read.
    """
    result = checked_edits(file, form, Reading(unit_of(offsets)))
    figures = describe_pairs(result.records())
    if as_json:
        print_json({**figures.as_dict(), "rejected": result.rejected, "unread": result.unread})
    else:
        _print_figures(Console(), str(file), figures)
    leave_if_bad(result, allow_loss or ())


@app.command()
def validate(
    file: Source,
    rules: Annotated[
        list[str] | None,
        typer.Argument(metavar="[key=value]...", help="Rules other than the default, such as max_changed=0.5."),
    ] = None,
    *,
    form: Form = "pairs",
    tokenizer: Annotated[
        Path | None, typer.Option(help="A tokenizer.json or the folder of a model, for the rule window=TOKENS.")
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write the fit pairs, one a line.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write the first 200 pairs as an HTML page.")] = None,
    offsets: Offsets = "auto",
    allow_loss: AllowLoss = None,
    as_json: AsJson = False,
) -> None:
    """Check which pairs are fit to be trained on, and name the reason for every other.

    Refused pairs are part of the report and no error; records that cannot be read make the exit code 2.
    """
    settings = _rules(rules or [])
    if (settings.window is None) != (tokenizer is None):
        raise ConfigError("The rule window=TOKENS and --tokenizer belong together; give both or neither.")
    result = not_empty(read_edits(file, form, unit_of(offsets)), file)
    validation = validate_edits(result.records, settings, tokenize=_tokenize(tokenizer))
    style = fingerprint(validation.kept)
    if output is not None:
        write_records(output, validation.kept)
    if html is not None:
        write_text(html, edit_page(file.name, _shown(result.records, validation.refused)))
    if as_json:
        refused = [refusal.as_dict() for refusal in validation.refused]
        summary = {
            "file": str(file),
            "rules": settings.model_dump(),
            "fit": len(validation.kept),
            "counts": validation.counts,
        }
        problems = [problem.as_dict() for problem in result.problems]
        signs = style.as_dict() if style else None
        print_json({**summary, "refused": refused, "fingerprint": signs, "unread": result.unread, "problems": problems})
    else:
        _print_validation(Console(), str(file), validation, style)
    leave_if_bad(result, allow_loss or ())


@app.command(cls=config_command("spanwise.llm.editors.config:EditorConfig"))
def generate(config: ConfigPath, overrides: Overrides = None, *, as_json: AsJson = False) -> None:
    """Have a language model edit the responses of a file, minimally.

    Answers that were paid for are kept beside the output: after a stop, the same command asks only what is left.
    """
    from spanwise.llm.editors import EditorConfig, generate_edits

    settings = EditorConfig.load(config, overrides or [])
    if settings.endpoint.provider == "local":
        settings = settings.model_copy(update={"endpoint": on_device(settings.endpoint)})
    report = generate_edits(settings)
    if as_json:
        print_json(report.as_dict())
    else:
        for line in report.lines():
            typer.echo(line)


@app.command()
def export(
    file: Source,
    *,
    to: Annotated[str, typer.Option(help=f"The format to write: {', '.join(names_of_formats('made of edit pairs'))}.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The JSONL file to write.")],
    form: Form = "pairs",
    offsets: Offsets = "auto",
    allow_loss: AllowLoss = None,
    as_json: AsJson = False,
) -> None:
    """Write edits as other trainers read them; what cannot be used is counted.

    Records that cannot be read are listed on standard error and make the exit code 2, and so does feedback
    that is not read.
    """
    result = not_empty(read_edits(file, form, unit_of(offsets)), file)
    exported = pairs_as(to, result.records)
    if not exported.records:
        reasons = ", ".join(f"{reason} {number}" for reason, number in exported.left_out.items()) or "there is none"
        raise DataError(f"{file}: no pair can be written as {to}: {reasons}.")
    write_records(output, exported.records)
    if as_json:
        print_json({"file": str(output), "records": len(exported.records), "left_out": exported.left_out})
    else:
        typer.echo(f"{output}: {len(exported.records):,} {to}.")
        for reason, number in exported.left_out.items():
            typer.echo(f"left out  {reason}: {number:,}")
    leave_if_bad(result, allow_loss or ())


@app.command()
def chain(
    file: Source,
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="The JSONL file to write.")],
    form: Form = "pairs",
    offsets: Offsets = "auto",
    allow_loss: AllowLoss = None,
) -> None:
    """Write each edit as the chain of its drafts: pairs of neighbours, which differ by one change.

    The pairs of a chain share the weight of their edit, so that long chains do not dominate `spanwise dpo`. Pairs
    without a change are counted and left out.
    """
    result = not_empty(read_edits(file, form, unit_of(offsets)), file)
    chains = [chain_of(pair) for pair in result.records]
    pairs = [pair for links in chains for pair in links]
    if not pairs:
        raise DataError(f"{file}: no pair has a change, so there is no chain to write.")
    write_records(output, pairs)
    edits = sum(bool(links) for links in chains)
    typer.echo(f"{output}: {count(len(pairs), 'pair')} of {count(edits, 'edit')}; {len(chains) - edits:,} unchanged.")
    leave_if_bad(result, allow_loss or ())


def _rules(overrides: list[str]) -> EditRules:
    values: dict[str, str] = {}
    for override in overrides:
        key, separator, value = override.partition("=")
        if not separator:
            raise ConfigError(f"Rule {override!r} is not of the form key=value.")
        values[key] = value
    return EditRules.from_values(values, place="the rules")


def _print_edit(console: Console, edit: TextEdit) -> None:
    """Marks as wdiff sets them, in colour where the terminal has it, so that nothing is told by colour alone."""
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


def _print_figures(console: Console, title: str, figures: EditFigures) -> None:
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


def _print_validation(console: Console, title: str, validation: Validation, style: Fingerprint | None) -> None:
    """Prints how many pairs are fit, why the others are not, and whether the editor's style gives the edits away."""
    total = len(validation.kept) + len(validation.refused)
    console.print(
        Text.assemble((visible(title), "bold"), f": {len(validation.kept):,} of {count(total, 'pair')} are fit."),
        soft_wrap=True,
    )
    table = plain_table("pairs", "reason", left=0)
    table.show_header = False
    for reason, number in validation.counts.items():
        table.add_row(f"{number:,}", reason)
    if validation.refused:
        console.print(Padding(table, (1, 0)))
    for refusal in validation.refused[:SHOWN_REFUSALS]:
        console.print(Text(_refusal(refusal)), soft_wrap=True)
    if len(validation.refused) > SHOWN_REFUSALS:
        console.print(f"... and {len(validation.refused) - SHOWN_REFUSALS:,} more; --json lists all of them.")
    console.print(Text(_fingerprint(style)), soft_wrap=True)


def _fingerprint(style: Fingerprint | None) -> str:
    if style is None:
        return "Fingerprint: too few to tell; it takes 20 fit pairs, in 5 groups that share neither prompt nor text."
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


def _lines(text: str) -> str:
    """The text as it is, line by line, without what could steer the terminal."""
    return "\n".join(visible(line) for line in text.split("\n"))


def _text(argument: str) -> str:
    path = Path(argument)
    try:
        is_file = path.is_file()
    except OSError:  # a text too long to be a name
        is_file = False
    if not is_file and path.suffix in FILE_ENDINGS and len(argument.split()) == 1:
        raise DataError(f"{argument}: there is no such file; an argument that names no file is taken as the text.")
    place = argument if is_file else "the text on the command line"
    text = read_text(path).removesuffix("\n") if is_file else argument  # the last line's end is the file's
    return check_text(normalize_newlines(text), place=place)


def _parts(edit: TextEdit) -> dict[str, Any]:
    parts = [
        {
            "kind": part.kind,
            "original": _quoted(edit.original, part.original),
            "edited": _quoted(edit.edited, part.edited),
        }
        for part in edit.parts
    ]
    lost, new = edit.changed_words()
    head = {"method": edit.method, "unit": edit.unit, "coarse": edit.coarse, "changes": len(edit.changes)}
    return {**head, "changed_words": {"original": lost, "edited": new}, "parts": parts}


def _quoted(text: str, span: Span) -> dict[str, Any]:
    return {"start": span.start, "end": span.end, "text": span.of(text)}


def _shown(pairs: list[EditPair], refused: list[Refusal], limit: int = 200) -> list[ShownEdit]:
    reasons = {
        refusal.position: f"refused: {refusal.reason}{f' ({refusal.detail})' if refusal.detail else ''}"
        for refusal in refused
    }
    return [
        ShownEdit(pair.aligned(), pair.id or f"Pair {position + 1}", reasons.get(position, "fit"))
        for position, pair in enumerate(pairs[:limit])
    ]


def _tokenize(path: Path | None) -> Tokenize | None:
    if path is None:
        return None
    from tokenizers import Tokenizer

    file = path / "tokenizer.json" if path.is_dir() else path
    try:
        tokenizer = Tokenizer.from_str(read_text(file))
    except Exception as error:  # tokenizers raises it bare
        raise DataError(f"{file}: cannot be read as a tokenizer ({error}); give a tokenizer.json.") from error
    return lambda text: tokenizer.encode(text, add_special_tokens=False).ids
