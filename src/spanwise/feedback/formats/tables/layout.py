"""Which column of a table means what: as its user says, or else by its name. What means nothing to us is kept.

Two columns that may both be the answer are refused with the option that tells them apart; nothing is guessed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import Field

from spanwise.core import Config, ConfigError, DataError

NAMES: dict[str, tuple[str, ...]] = {
    "id": ("id", "item_id", "example_id", "record_id", "prompt_id"),
    "response_number": ("response_number",),
    "prompt": ("prompt", "question", "instruction", "query"),
    "messages": ("messages",),
    "tools": ("tools",),
    "response": ("response", "answer", "completion", "output", "model_answer", "model_output", "original"),
    "marks": ("marks", "quotes", "quote", "spans", "highlights", "marked_text"),
    "category": ("category", "categories", "error_type", "label", "labels"),
    "start": ("start", "start_offset"),
    "end": ("end", "end_offset"),
    "occurrence": ("occurrence",),
    "note": ("note", "notes", "comment", "comments", "explanation"),
    "severity": ("severity",),
    "polarity": ("polarity",),
    "missing": ("missing", "missing_information"),
    "missing_category": ("missing_category",),
    "correction": ("correction", "corrected", "edited", "corrected_answer", "corrected_response", "rewrite"),
    "kept_nothing": ("kept_nothing",),
    "chosen": ("chosen",),
    "rejected": ("rejected",),
    "preferences": ("preferences",),
    "score": ("score",),
    "passages": ("passages", "passage", "context", "contexts", "document"),
    "references": ("references", "reference", "gold", "gold_answer", "reference_answer"),
    "annotator": ("annotator", "annotator_id", "worker_id", "rater"),
    "model": ("model", "model_name"),
    "checked": ("checked", "marked", "status", "done", "finished", "reviewed", "complete", "completed"),
    "provenance": ("provenance",),
}
"""What a column may mean, and by which names it is known; the first is the name of the meaning, and wins."""

BY_CATEGORY = ("marks", "missing")
"""Meanings that several columns may have, one a category: `marks:Irrelevant`."""
_OF_MARKS = ("category", "start", "end", "occurrence", "note", "severity", "polarity")
_OF_ANSWER = ("response_number", "kept_nothing", "checked", "model")
_NEEDED = {
    "FeedbackRecord": ("response", "chosen"),
    "PromptRecord": ("prompt", "messages"),
    "DemonstrationRecord": ("response", "messages"),
    "EditPair": ("response",),
}
"""By the name of the record: one of these must be there."""
_ASKED = {
    "response": ("chosen",),
    "prompt": ("messages",),
    "marks": ("start", "missing", "correction", "chosen", "preferences"),
}
"""What training cannot do without, each with what may stand in its place."""


class Layout(Config):
    """How a table is to be read, where its names do not say it."""

    columns: dict[str, str] = Field(default_factory=dict[str, str])
    """Meaning to column: {"prompt": "question", "marks:Irrelevant": "off topic"}; "" = the table has no such column."""
    separator: str = ""
    """What parts the quotes of a cell; empty = `|` and line breaks."""
    empty_is_clean: bool = False
    """Whether somebody has finished every row, so that an answer without marks is one without errors."""
    sheet: str = ""
    """The sheet of a workbook; needed where several hold something."""


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of one table by their meaning."""

    by_meaning: dict[str, str]
    marks: tuple[tuple[str, str], ...]
    """Columns of quotes, each with its category; "" where other cells say it."""
    missing: tuple[tuple[str, str], ...]
    rest: tuple[str, ...]
    """Columns that mean nothing to us; they are kept."""

    def __contains__(self, meaning: str) -> bool:
        return meaning in self.by_meaning

    @property
    def has_marks(self) -> bool:
        return bool(self.marks) or "start" in self.by_meaning


def columns_of(names: Sequence[str], layout: Layout, kind: str, place: str) -> Columns:
    """The meaning of each column for records of `kind` (the name of their class).

    Raises ConfigError for a mapping that names what is not there, DataError where two columns may mean the same or
    none holds what a record of this kind needs.
    """
    _check_mapping(layout.columns, names, place)
    taken = {name for name in layout.columns.values() if name}
    given = {meaning: name for meaning, name in layout.columns.items() if name and ":" not in meaning}
    free = [name for name in names if name not in taken]
    known = {_folded(name): name for name in free}
    _check_alike(free, known, place)
    for meaning, synonyms in NAMES.items():
        if meaning not in layout.columns and (column := _known(meaning, synonyms, known, place)):
            given[meaning] = column
    by_category = {name: m for m, name in layout.columns.items() if name and ":" in m}
    by_category |= {name: name.strip() for name in free if _parted(name)[0] in BY_CATEGORY and ":" in name}
    needed = _NEEDED.get(kind, ())
    if needed and not any(meaning in given for meaning in needed):
        what = {"response": "the answers", "prompt": "the prompts"}[needed[0]]
        listed = ", ".join(names)
        remedy = f"name it with --column {needed[0]}=COLUMN"
        raise DataError(f"{place}: no column is known to hold {what}; {remedy} (there are: {listed:.300}).")
    columns = _sorted(names, given, by_category)
    if kind == "FeedbackRecord" and "response" not in given:
        _check_homeless(columns, place)
    return columns


def _check_alike(names: Sequence[str], known: Mapping[str, str], place: str) -> None:
    """Raises DataError for two columns whose names differ in capitals, blanks and hyphens alone and mean something."""
    meant = {name for synonyms in NAMES.values() for name in synonyms}
    for name in names:
        if (other := known[_folded(name)]) != name and _folded(name) in meant:
            both = f"{name!r:.60} and {other!r:.60}"
            raise DataError(f"{place}: the columns {both} differ in capitals, blanks or hyphens alone; rename one.")


def _check_homeless(columns: Columns, place: str) -> None:
    """Raises DataError for a column that speaks of an answer, where there are only a chosen and a rejected one."""
    names = [name for name, _ in (*columns.marks, *columns.missing)]
    names += [columns.by_meaning[m] for m in ("start", "missing_category", "correction") if m in columns]
    if names:
        say = "name the answer with --column response=COLUMN, or rename this column so that it is kept as it is"
        raise DataError(f"{place}: the column {names[0]!r:.60} speaks of an answer, chosen or rejected; {say}.")


def open_questions(names: Sequence[str], layout: Layout) -> dict[str, tuple[str, ...]]:
    """What only its user can say of a table of feedback: meanings, each with the columns that it may be.

    A meaning that several columns may be is one, and so are the answers, what was asked and what was said of an answer
    where no name is known to mean them. Raises ConfigError like `columns_of`.
    """
    _check_mapping(layout.columns, names, "the table")
    taken = {name for name in layout.columns.values() if name}
    known = {_folded(name): name for name in names if name not in taken}
    fitting = {
        meaning: () if meaning in layout.columns else _fitting(meaning, synonyms, known)
        for meaning, synonyms in NAMES.items()
    }
    found = {meaning for meaning, columns in fitting.items() if columns}
    found |= {_parted(meaning)[0] for meaning in layout.columns}
    found |= {_parted(name)[0] for name in names if ":" in name}
    used = taken | {columns[0] for columns in fitting.values() if len(columns) == 1}
    left = tuple(name for name in names if name not in used)
    questions: dict[str, tuple[str, ...]] = {name: columns for name, columns in fitting.items() if len(columns) > 1}
    for meaning, others in _ASKED.items():
        if left and not found & {meaning, *others}:
            questions[meaning] = left
    return questions


def _sorted(names: Sequence[str], given: dict[str, str], by_category: Mapping[str, str]) -> Columns:
    several = {
        meaning: tuple(
            [(name, "") for name in [given.get(meaning)] if name]
            + [(name, _parted(said)[1]) for name, said in by_category.items() if _parted(said)[0] == meaning]
        )
        for meaning in BY_CATEGORY
    }
    if "response" not in given:
        given = {meaning: name for meaning, name in given.items() if meaning not in _OF_ANSWER}
    if len(several["marks"]) > 1 or not (several["marks"] or "start" in given):
        given = {meaning: name for meaning, name in given.items() if meaning not in _OF_MARKS}
    used = set(given.values()) | set(by_category)
    by_meaning = {meaning: name for meaning, name in given.items() if meaning not in BY_CATEGORY}
    rest = tuple(name for name in names if name not in used)
    return Columns(by_meaning, several["marks"], several["missing"], rest)


def _check_mapping(mapping: Mapping[str, str], names: Sequence[str], place: str) -> None:
    for meaning, name in mapping.items():
        first, category = _parted(meaning)
        if first not in NAMES or (":" in meaning and (first not in BY_CATEGORY or not category)):
            listed = ", ".join(NAMES)
            raise ConfigError(f"{meaning!r:.60} is no meaning of a column; choose one of {listed}, or marks:CATEGORY.")
        if name and name not in names:
            raise ConfigError(f"{place}: has no column {name!r:.60}; there are: {', '.join(names):.300}.")


def _fitting(meaning: str, synonyms: Sequence[str], known: Mapping[str, str]) -> tuple[str, ...]:
    if meaning in known:
        return (known[meaning],)
    return tuple(known[name] for name in synonyms if name in known)


def _known(meaning: str, synonyms: Sequence[str], known: Mapping[str, str], place: str) -> str:
    fitting = _fitting(meaning, synonyms, known)
    if len(fitting) > 1:
        listed = " and ".join(map(repr, fitting))
        remedy = f"say which with --column {meaning}={fitting[0]} (or {meaning}= for none)"
        raise DataError(f"{place}: the columns {listed} may both be the {meaning}; {remedy}.")
    return fitting[0] if fitting else ""


def _parted(meaning: str) -> tuple[str, str]:
    first, _, category = meaning.partition(":")
    return first.strip().lower(), category.strip()


def _folded(name: str) -> str:
    return "_".join(name.replace("-", " ").lower().split())
