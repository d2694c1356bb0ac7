"""What the rows of one answer, or of one id, become: the value of a feedback record.

An answer without marks is clean only where the table says that somebody finished it; else nobody is known to have
looked at it. What no field holds goes into the provenance under `columns`.
"""

from collections.abc import Iterator, Sequence
from typing import Any, cast

from spanwise.feedback.formats.tables.cells import NOTHING, YES, is_blank, said, several, structure, text_of
from spanwise.feedback.formats.tables.layout import Columns
from spanwise.feedback.formats.tables.marks import UNFINISHED, Place, TableReading, marks_of
from spanwise.feedback.formats.tables.rows import Row
from spanwise.feedback.problems import FieldError

MISSING = "missing"
"""The category of missing information where no column says it."""
_OF_ANSWER = ("response", "correction", "kept_nothing", "checked", "model")
_OF_RECORD = ("prompt", "messages", "tools", "passages", "references", "annotator", "preferences", "chosen", "rejected",
              "score", "provenance")  # fmt: skip


class WrongMarksError(ValueError):
    """What is wrong with the marks of several rows, mark by mark."""

    def __init__(self, errors: Sequence[tuple[Row, FieldError]]) -> None:
        super().__init__("; ".join(str(error) for _, error in errors))
        self.errors = errors


def record_value(name: str, rows: Sequence[Row], columns: Columns, reading: TableReading) -> dict[str, Any]:
    """The value of the record `name`; raises FieldError that names the column, WrongMarksError."""
    shared = {meaning: _one(rows, columns, meaning) for meaning in _OF_RECORD if meaning in columns}
    wrong: list[tuple[Row, FieldError]] = []
    responses = [_response(answer, columns, reading, wrong) for answer in _answers(rows, columns)]
    if wrong:
        raise WrongMarksError(wrong)
    value: dict[str, Any] = {"id": name, "responses": responses, **_asked(shared, columns)}
    if "chosen" in columns or "rejected" in columns:
        _compare(value, shared, columns)
    for meaning in ("references", "preferences", "tools"):
        if not is_blank(shared.get(meaning)):
            value[meaning] = several(
                shared[meaning], columns.by_meaning[meaning], "\0" if meaning == "references" else ""
            )
    if not is_blank(shared.get("annotator")):
        value["annotator"] = text_of(shared["annotator"], columns.by_meaning["annotator"])
    value["provenance"] = _provenance(rows, shared, columns, responses)
    return value


def _asked(shared: dict[str, Any], columns: Columns) -> dict[str, Any]:
    asked: dict[str, Any] = {}
    if not is_blank(shared.get("messages")):
        asked["messages"] = structure(shared["messages"], columns.by_meaning["messages"])
    prompt = structure(shared.get("prompt"), columns.by_meaning.get("prompt", ""))
    if isinstance(prompt, list) and not isinstance(shared["prompt"], str):
        asked["messages"] = prompt
    elif "messages" not in asked or not is_blank(shared.get("prompt")):
        asked["prompt"] = text_of(shared.get("prompt"), columns.by_meaning.get("prompt", ""))
    if not is_blank(shared.get("passages")):
        asked["passages"] = passages_of(shared["passages"], columns.by_meaning["passages"])
    return asked


def passages_of(cell: Any, column: str) -> list[Any]:
    """The passages of a cell: those of a list, or the one text that it holds."""
    value = structure(cell, column)
    listed = cast("list[Any]", value) if isinstance(value, list) else [value]
    return [part if isinstance(part, dict) else {"title": "", "sentences": [text_of(part, column)]} for part in listed]


def _one(rows: Sequence[Row], columns: Columns, meaning: str) -> Any:
    """What the rows of a record say in a column; all that say something say the same. Raises FieldError else."""
    column = columns.by_meaning[meaning]
    given = [row.cells.get(column) for row in rows if not is_blank(row.cells.get(column))]
    if any(cell != given[0] for cell in given):
        raise FieldError(
            column, f"differs between rows of one {'answer' if meaning in _OF_ANSWER else 'id'}; make it one."
        )
    if given:
        return given[0]
    return next((cell for row in rows if (cell := row.cells.get(column)) is not None), None)


def same_answer(first: Row, second: Row, columns: Columns) -> bool:
    """Whether two rows speak of one answer."""
    if "response_number" in columns:
        column = columns.by_meaning["response_number"]
        return first.cells.get(column) == second.cells.get(column)
    cells = [row.cells.get(columns.by_meaning.get("response", "")) for row in (first, second)]
    return cells[0] == cells[1] or is_blank(cells[1])


def _answers(rows: Sequence[Row], columns: Columns) -> list[list[Row]]:
    """The rows of each answer."""
    if "response" not in columns:
        return []
    answers: list[list[Row]] = []
    for row in rows:
        if answers and same_answer(answers[-1][0], row, columns):
            answers[-1].append(row)
        else:
            answers.append([row])
    return answers


def _response(
    rows: Sequence[Row], columns: Columns, reading: TableReading, wrong: list[tuple[Row, FieldError]]
) -> dict[str, Any]:
    cells = {meaning: _one(rows, columns, meaning) for meaning in _OF_ANSWER if meaning in columns}
    column = columns.by_meaning["response"]
    answer = _of_turn(cells["response"])
    if answer is None or (is_blank(answer) and "response_number" not in columns):
        raise FieldError(column, "holds no answer; fill the cell or drop the row.")
    response: dict[str, Any] = {"text": text_of(answer, column)}
    place = Place(answer if isinstance(answer, str) else response["text"], reading)
    given = [mark for row in rows for mark in _marks(row, columns, place, wrong)] if columns.has_marks else []
    missing = [gap for row in rows for gap in _missing(row, columns, place.separator)]
    column = columns.by_meaning.get("checked", "")
    response |= _judged(given, missing, said(cells.get("checked"), column), reading, column)
    if not is_blank(cells.get("correction")):
        response["correction"] = text_of(cells["correction"], columns.by_meaning["correction"])
    elif said(cells.get("kept_nothing"), columns.by_meaning.get("kept_nothing", "")):
        response["correction"] = ""
    if not is_blank(cells.get("model")):
        response["model"] = text_of(cells["model"], columns.by_meaning["model"])
    return response


def _of_turn(cell: Any) -> Any:
    """What a cell says, which may be the one turn of the assistant, as TRL has it."""
    turns = cast("list[Any]", cell) if isinstance(cell, list) else []
    return turns[0].get("content") if len(turns) == 1 and isinstance(turns[0], dict) else cell


def _marks(
    row: Row, columns: Columns, place: Place, wrong: list[tuple[Row, FieldError]]
) -> Iterator[dict[str, Any] | None]:
    try:
        for mark in marks_of(row.cells, columns, place):
            if isinstance(mark, FieldError):
                wrong.append((row, mark))
            else:
                yield mark
    except FieldError as error:
        wrong.append((row, error))


def _judged(
    given: list[dict[str, Any] | None],
    missing: list[dict[str, Any]],
    finished: bool | None,
    reading: TableReading,
    column: str,
) -> dict[str, Any]:
    """Marks, missing information, and whether somebody looked: a lost mark never makes an answer clean."""
    marks = [mark for mark in given if mark is not None]
    if finished is False and (marks or missing):
        for _ in (*marks, *missing):
            reading.lose(UNFINISHED, column, "says that nobody finished the answer, which has marks; finish it.")
        return {"marked": False}
    clean = not given and (finished or (reading.layout.empty_is_clean and finished is None))
    return {"marked": bool(marks or missing or clean), "spans": marks, "missing": missing}


def _missing(row: Row, columns: Columns, separator: str) -> Iterator[dict[str, Any]]:
    for column, category in columns.missing:
        parts = several(row.cells.get(column), column, separator)
        if not category and not parts:
            continue  # its categories may stand alone
        beside = _categories(row, columns, len(parts), separator)
        for number, part in enumerate(parts):
            if isinstance(part, dict):
                yield {"category": category or beside[number], **cast("dict[str, Any]", part)}
            elif (text := _gap(part, column)) is not None:
                yield {"category": category or beside[number], "note": text}
    said_in_words = any(not is_blank(row.cells.get(column)) for column, category in columns.missing if not category)
    column = columns.by_meaning.get("missing_category", "")
    for name in [] if said_in_words else several(row.cells.get(column), column, separator):
        if _gap(name, column) is not None:
            yield {"category": text_of(name, column), "note": ""}


_PLAIN_YES = {"yes", "y", "true", "1", "x", "✓", "✔"}


def _gap(part: Any, column: str) -> str | None:
    """What is missing, in words, "" where the cell says just yes, None where it says that nothing is."""
    word = text_of(part, column).strip().lower()
    if word in YES - _PLAIN_YES:
        raise FieldError(
            column, f"says {word!r}: is something missing? Leave the cell empty, or write yes or what it is."
        )
    return None if word in NOTHING else "" if word in _PLAIN_YES else text_of(part, column)


def _categories(row: Row, columns: Columns, number: int, separator: str) -> list[str]:
    column = columns.by_meaning.get("missing_category", "")
    names = [text_of(name, column) for name in several(row.cells.get(column), column, separator)] or [MISSING]
    if len(names) not in (1, number) and number:
        raise FieldError(column, f"holds {len(names)} values for {number} gaps; write one for each.")
    return names * number if len(names) == 1 else names


def _compare(value: dict[str, Any], shared: dict[str, Any], columns: Columns) -> None:
    """Adds the chosen and the rejected answer, and that the first is preferred."""
    for meaning in ("chosen", "rejected"):
        column = columns.by_meaning.get(meaning, meaning)
        if is_blank(shared.get(meaning)):
            if any(not is_blank(shared.get(other)) for other in ("chosen", "rejected")) or not value["responses"]:
                raise FieldError(column, "holds no answer; a preference needs a chosen and a rejected one.")
            return
    texts = [text_of(_of_turn(shared[meaning]), columns.by_meaning[meaning]) for meaning in ("chosen", "rejected")]
    if texts[0] == texts[1]:
        raise FieldError(
            columns.by_meaning["rejected"], "is the text of chosen, so that nothing is preferred; drop it."
        )
    first = len(value["responses"])
    value["responses"] += [{"text": text} for text in texts]
    value["preferences"] = [{"first": first, "second": first + 1, "winner": "first"}]


def _provenance(
    rows: Sequence[Row], shared: dict[str, Any], columns: Columns, responses: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    note = columns.by_meaning.get("note", "")
    kept = {name: _together([row.cells.get(name) for row in rows]) for name in columns.rest}
    has_marks = any(response.get("spans") for response in responses)
    kept[note] = _together([row.cells.get(note) for row in rows if not (has_marks and _quotes_something(row, columns))])
    kept = {name: cell for name, cell in kept.items() if not is_blank(cell)}
    column = columns.by_meaning.get("provenance", "")
    provenance: Any = structure(shared.get("provenance"), column) if not is_blank(shared.get("provenance")) else {}
    if not isinstance(provenance, dict):
        raise FieldError(column, "must be a JSON object.")
    origin: dict[str, Any] = {} if "provenance" in columns else {"format": "table"}
    if not is_blank(shared.get("score")):
        origin["score"] = _number(shared["score"], columns.by_meaning["score"])
    return {**origin, **cast("dict[str, Any]", provenance), **({"columns": kept} if kept else {})}


def _quotes_something(row: Row, columns: Columns) -> bool:
    """Whether a row has marks, with which its note goes."""
    names = [*(column for column, _ in columns.marks), columns.by_meaning.get("start", "")]
    return any(not is_blank(row.cells.get(name)) for name in names)


def _together(cells: list[Any]) -> Any:
    """What several rows say in a column: the one thing, or all in their order."""
    given = [cell for cell in cells if not is_blank(cell)]
    same = all(cell == given[0] for cell in given)
    return None if not given else given[0] if same else cells


def _number(cell: Any, column: str) -> float:
    try:
        return cell if isinstance(cell, int | float) else float(str(cell).strip())
    except ValueError:
        raise FieldError(column, f"must be a number (got {cell!r:.40}).") from None
