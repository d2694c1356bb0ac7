"""`spanwise edits`: align a text with its edit, look at files of edits, check them, have a model make them."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from spanwise.cli.config_help import AsJson, ConfigPath, Overrides, config_command
from spanwise.cli.edit_export import export
from spanwise.cli.edit_view import print_edit, print_figures, print_validation
from spanwise.cli.feedback_tables import print_problems
from spanwise.cli.runner import on_device
from spanwise.core import ConfigError, DataError, read_text, write_text
from spanwise.feedback import EditPair, ReadResult, write_records
from spanwise.feedback.formats import EditFormat, read_edits
from spanwise.feedback.statistics import EditRules, Refusal, Tokenize, describe_pairs, fingerprint, validate_edits
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
app.command(name="export")(export)

Source = Annotated[Path, typer.Argument(metavar="FILE", help="The file; .gz is read as well.", show_default=False)]
Form = Annotated[EditFormat, typer.Option("--format", help="The format of the file.")]


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
        _print_json(_parts(edit))
    else:
        print_edit(Console(), edit)


@app.command()
def stats(file: Source, *, form: Form = EditFormat.PAIRS, as_json: AsJson = False) -> None:
    """Show how much a file of edits changes, how, and by whom.

    Bad records are left out of the figures, listed on standard error, and make the exit code 2.
    """
    result = read_edits(file, form)
    figures = describe_pairs(result.records)
    if as_json:
        _print_json({**figures.as_dict(), "rejected": len(result.rejected)})
    else:
        print_figures(Console(), str(file), figures)
    _leave_if_bad(result)


@app.command()
def validate(
    file: Source,
    rules: Annotated[
        list[str] | None,
        typer.Argument(metavar="[key=value]...", help="Rules other than the default, such as max_changed=0.5."),
    ] = None,
    *,
    form: Form = EditFormat.PAIRS,
    tokenizer: Annotated[
        Path | None, typer.Option(help="A tokenizer.json or the folder of a model, for the rule window=TOKENS.")
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write the fit pairs, one a line.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write the first 200 pairs as an HTML page.")] = None,
    as_json: AsJson = False,
) -> None:
    """Check which pairs are fit to be trained on, and name the reason for every other.

    Refused pairs are part of the report and no error; records that cannot be read make the exit code 2.
    """
    settings = _rules(rules or [])
    if (settings.window is None) != (tokenizer is None):
        raise ConfigError("The rule window=TOKENS and --tokenizer belong together; give both or neither.")
    result = read_edits(file, form)
    found = validate_edits(result.records, settings, tokenize=_tokenize(tokenizer))
    style = fingerprint(found.kept)
    if output is not None:
        write_records(output, found.kept)
    if html is not None:
        write_text(html, edit_page(file.name, _shown(result.records, found.refused)))
    if as_json:
        refused = [refusal.as_dict() for refusal in found.refused]
        summary = {"file": str(file), "rules": settings.model_dump(), "fit": len(found.kept), "counts": found.counts}
        problems = [problem.as_dict() for problem in result.problems]
        signs = style.as_dict() if style else None
        _print_json({**summary, "refused": refused, "fingerprint": signs, "problems": problems})
    else:
        print_validation(Console(), str(file), found, style)
    _leave_if_bad(result)


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
        _print_json(report.as_dict())
    else:
        for line in report.lines():
            typer.echo(line)


def _rules(overrides: list[str]) -> EditRules:
    values: dict[str, str] = {}
    for override in overrides:
        key, separator, value = override.partition("=")
        if not separator:
            raise ConfigError(f"Rule {override!r} is not of the form key=value.")
        values[key] = value
    return EditRules.from_values(values, place="the rules")


def _text(argument: str) -> str:
    path = Path(argument)
    try:
        is_file = path.is_file()
    except OSError:  # a text too long to be a name
        is_file = False
    if not is_file and path.suffix in {".txt", ".md", ".gz"} and len(argument.split()) == 1:
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


def _leave_if_bad(result: ReadResult[EditPair]) -> None:
    if result.problems:
        print_problems(Console(stderr=True), result.problems)
        raise typer.Exit(2)


def _print_json(value: dict[str, Any]) -> None:
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))
