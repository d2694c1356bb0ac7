"""The table of formats: what each one is, who reads and writes it, and what its writer cannot keep.

Every command that takes a format takes it from here, and so do the functions below. A format that holds marks is read
as edits by its corrections; one that holds edits is read as feedback of corrected responses. So one reader is enough
to have a format everywhere, and likewise one writer.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from spanwise.core import ConfigError, DataError, is_path, load_object
from spanwise.feedback.edits import EditPair
from spanwise.feedback.files import all_or_raise, write_records
from spanwise.feedback.formats import ours, table
from spanwise.feedback.formats.contract import (
    Exported,
    Format,
    Outcome,
    Reader,
    Reading,
    Unit,
    Written,
)
from spanwise.feedback.formats.corpora import CORPORA
from spanwise.feedback.formats.tools import TOOLS
from spanwise.feedback.formats.training import TRAINING
from spanwise.feedback.problems import ReadResult, collected, with_unique_ids
from spanwise.feedback.recognition import kind_of, or_named, recognised
from spanwise.feedback.record import Record
from spanwise.feedback.schema import FeedbackRecord

_OURS = (
    Format(
        name="spanwise",
        sentence="our own JSONL, one feedback record a line",
        holds=("marks", "edits", "preferences"),
        read=ours.read,
        write=ours.write,
        also=("feedback",),
    ),
    Format(
        name="table",
        sentence="CSV, TSV, Excel and Parquet, one row an answer, a quote of it or a pair; marks are written as JSON",
        holds=("marks", "edits", "preferences"),
        read=table.read,
        write=table.write,
    ),
    Format(
        name="pairs",
        sentence="our own JSONL, one edit pair a line",
        holds=("edits",),
        read_pairs=ours.read_pairs,
        export_pairs=ours.all_of,
        cannot_keep="responses that nobody corrected; marks, missing information, preferences",
    ),
)
FORMATS: dict[str, Format] = {row.name: row for row in (*_OURS, *TOOLS, *CORPORA, *TRAINING)}
"""Every format by its name."""


Use = Literal["read", "read as edits", "written", "made of edit pairs"]
"""What a format can be good for."""
_FIT: dict[Use, Callable[[Format], bool]] = {
    "read": lambda row: row.read is not None or row.read_pairs is not None,
    "read as edits": lambda row: row.read_pairs is not None or (row.read is not None and "edits" in row.holds),
    "written": lambda row: row.write is not None or row.export_pairs is not None,
    "made of edit pairs": lambda row: row.export_pairs is not None,
}


def names_of_formats(use: Use) -> tuple[str, ...]:
    """The names of all formats that are good for `use`."""
    return tuple(name for name, row in FORMATS.items() if _FIT[use](row))


def get_format(name: str, use: Use) -> Format:
    """The format of that name; raises ConfigError unless it is one that is good for `use`.

    A reader of one's own goes by its import path, my.module:read.
    """
    for row in FORMATS.values():
        if name in (row.name, *row.also) and _FIT[use](row):
            return row
    if is_path(name) and use == "read":
        reader: Reader[FeedbackRecord] = load_object(name, place="format")
        return Format(name=name, sentence="a reader of one's own", holds=("marks", "edits", "preferences"), read=reader)
    names = ", ".join(names_of_formats(use))
    raise ConfigError(f"{name!r:.40} is no format that can be {use}; choose one of {names}.")


def format_of(path: Path) -> str | None:
    """The name of the format in which `path` can be read as feedback, told by what it holds; None where none is known.

    Raises DataError that says what the file is where that is known and is nothing that can be read.
    """
    kind = kind_of(path)
    if kind is not None and kind.name in names_of_formats("read"):
        return kind.name
    if path.is_file() and table.holds(path):
        return "table"
    if kind is None:
        return None
    raise DataError(recognised(path, "") or f"{path}: is {kind.what}.")


def iter_feedback(
    path: Path, form: str = "spanwise", reading: Reading | None = None
) -> Iterator[Outcome[FeedbackRecord]]:
    """The place of every record of `path` with the record, or with all that is wrong with it.

    `reading` says how, and counts the feedback that no record and no problem holds. A table is read as one where our
    own format is asked for. Raises ConfigError for an unknown format, DataError when the file is none of that format.
    """
    row = _format_of(path, form)
    yield from or_named(_records(row, path, reading or Reading()), path, row.name)


def _format_of(path: Path, form: str) -> Format:
    row = get_format(form, "read")
    return FORMATS["table"] if row.name == "spanwise" and table.holds(path) else row


def _records(row: Format, path: Path, reading: Reading) -> Iterator[Outcome[FeedbackRecord]]:
    if row.read is not None:
        yield from row.read(path, reading)
    elif row.read_pairs is not None:
        for place, outcome in row.read_pairs(path, reading):
            yield place, outcome if isinstance(outcome, list) else ours.record_of_pair(outcome, place)


def read_feedback(
    path: Path, form: str = "spanwise", unit: Unit = "auto", *, reading: Reading | None = None
) -> ReadResult[FeedbackRecord]:
    """The good records of `path` and all problems, an id that comes twice included; raises like `iter_feedback`."""
    how = reading or Reading(unit)
    result = collected(unique_feedback(path, form, how))
    result.unread.update(how.unread)
    return result


def unique_feedback(path: Path, form: str, reading: Reading) -> Iterator[Outcome[FeedbackRecord]]:
    """Like `iter_feedback`, with a problem in place of every record whose id came before."""
    outcomes = iter_feedback(path, form, reading)
    return outcomes if _format_of(path, form).name in ("spanwise", "table") else with_unique_ids(outcomes)


def load_feedback(
    source: Any,
    format: str = "spanwise",  # noqa: A002 - its name
    *,
    columns: Mapping[str, str] | None = None,
    separator: str = "",
    empty_is_clean: bool = False,
    sheet: str = "",
    allow_loss: Collection[str] = (),
) -> list[FeedbackRecord]:
    """All records of a feedback file, a frame of pandas or Polars, or a data set of `datasets`, for programs.

    `columns` says what the columns of a table mean ({"prompt": "question"}) where their names do not; `separator`
    parts the quotes of a cell, `empty_is_clean` says that somebody finished every row, `sheet` names one of a workbook.
    Raises DataError when a record is bad, when there is none, or when the file holds feedback of a kind that is not
    read and that `allow_loss` does not name; ConfigError for settings that fit no table.
    """
    given = {"columns": dict(columns or {}), "separator": separator, "empty_is_clean": empty_is_clean, "sheet": sheet}
    reading = table.reading_of(given, allow_loss)
    if isinstance(source, str | Path):
        result = read_feedback(Path(source), format, reading=reading)
    else:
        result = collected(table.read_rows(source, reading))
        result.unread.update(reading.unread)
    name = str(source) if isinstance(source, str | Path) else f"<{type(source).__name__}>"
    if lost := not_allowed(result.unread, allow_loss):
        kinds = ", ".join(f"{kind} ({number:,})" for kind, number in lost.items())
        raise DataError(f"{name}: holds feedback that is not read: {kinds}; name the kinds in allow_loss to go on.")
    return all_or_raise(result, Path(name))


def not_allowed(unread: Mapping[str, int], allow_loss: Collection[str]) -> dict[str, int]:
    """The counts of unread feedback whose kind nobody allowed to be lost."""
    return {kind: number for kind, number in unread.items() if kind not in allow_loss}


def iter_edits(path: Path, form: str, reading: Reading) -> Iterator[Outcome[EditPair]]:
    """The place of every edit pair of `path` with the pair, or with all that is wrong; raises like `iter_feedback`."""
    row = get_format(form, "read as edits")
    if row.read_pairs is not None:
        yield from or_named(row.read_pairs(path, reading), path, row.name)
        return
    for place, outcome in unique_feedback(path, form, reading):
        if isinstance(outcome, list):
            yield place, outcome
        else:
            yield from ((place, pair) for pair in ours.pairs_of_record(outcome))


def read_edits(path: Path, form: str = "pairs", unit: Unit = "auto") -> ReadResult[EditPair]:
    """The edit pairs of `path` and all problems; raises like `iter_feedback`."""
    reading = Reading(unit)
    result = collected(iter_edits(path, form, reading))
    result.unread.update(reading.unread)
    return result


def write_feedback(path: Path, form: str, records: Iterable[FeedbackRecord]) -> Written:
    """Writes the records beside-then-rename; what the format has no place for is left out and counted."""
    row = get_format(form, "written")
    if row.write is not None:
        return row.write(path, records)
    left_out: Counter[str] = Counter()

    def pairs() -> Iterator[EditPair]:
        for record in records:
            uncorrected = sum(response.correction is None for response in record.responses)
            left_out.update({"responses that nobody corrected": uncorrected} if uncorrected else {})
            yield from ours.pairs_of_record(record)

    exported = pairs_as(form, pairs())
    return Written(write_records(path, exported.records), dict(left_out) | exported.left_out)


def pairs_as(form: str, pairs: Iterable[EditPair]) -> Exported[Record]:
    """What is written of edit pairs in a format that is made of them."""
    row = get_format(form, "made of edit pairs")
    return row.export_pairs(pairs) if row.export_pairs is not None else Exported([], {})
