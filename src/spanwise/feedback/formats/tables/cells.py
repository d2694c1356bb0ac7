"""What a cell may hold: a text, a number, a list, JSON in a text, a word for yes or no, or nothing.

Spreadsheets have no lists, so a text may hold several values: as a JSON list, as Python prints lists, or parted by a
separator.
"""

import ast
import math
import re
from typing import Any, cast

from spanwise.core import BadJSONError, parse
from spanwise.feedback.problems import FieldError
from spanwise.text import normalize_newlines

YES = {"yes", "y", "true", "1", "x", "done", "finished", "checked", "complete", "completed", "reviewed", "ok", "✓", "✔"}
NO = {"no", "n", "false", "0", "open", "todo", "to do", "pending", "skipped", "unchecked", "unfinished", "in progress"}
NOTHING = {"no", "n", "false", "0", "none", "nothing", "n/a", "na", "nan", "null", "nil", "-", "--", "\u2013", "\u2014"}
"""Words of a whole cell by which people say that there is nothing to tell."""
_PARTS = re.compile(r"[|\n]")


def plain(cell: Any) -> Any:
    """The cell as JSON has it: nothing for what is missing, lists for arrays, texts for dates."""
    if cell is None or isinstance(cell, str | bool | int):
        return cell
    if isinstance(cell, float):
        number = float(cell)  # one of NumPy's is a float as well
        return None if math.isnan(number) else int(number) if number.is_integer() and abs(number) < 2**53 else number
    if isinstance(cell, list | tuple):
        return [plain(part) for part in cast("list[Any]", cell)]
    if isinstance(cell, dict):
        return {str(key): plain(part) for key, part in cast("dict[Any, Any]", cell).items()}
    if hasattr(cell, "tolist"):  # scalars and arrays of NumPy
        return plain(cell.tolist())
    if isinstance(cell, bytes):  # Parquet without the annotation that says text
        cell = cell.decode(errors="surrogateescape")
    return None if type(cell).__name__ in ("NAType", "NaTType") else str(cell)


def is_blank(cell: Any) -> bool:
    """Whether nothing stands there: nothing at all, white space, or a list without values."""
    return cell is None or cell == [] or (isinstance(cell, str) and not cell.strip())


def text_of(cell: Any, column: str) -> str:
    """The text of a cell, line breaks as LF, digits for a number; raises FieldError for a list or an object."""
    if isinstance(cell, str):
        return normalize_newlines(cell) if "\r" in cell else cell
    if cell is None:
        return ""
    if isinstance(cell, list | dict):
        raise FieldError(column, "holds a list or an object where a text belongs; name another column or format.")
    return str(cell).lower() if isinstance(cell, bool) else str(cell)


def said(cell: Any, column: str) -> bool | None:
    """Whether a cell says yes or no, None where it is blank; raises FieldError for another word."""
    if is_blank(cell):
        return None
    word = text_of(cell, column).strip().lower()
    if word in YES or word in NO:
        return word in YES
    raise FieldError(column, f"says {word!r:.40}, which is neither yes nor no; write one of them.")


def structure(cell: Any, column: str) -> Any:
    """A list or an object, as it is or as JSON in a text; the text itself where it is neither."""
    if not isinstance(cell, str) or cell.strip()[:1] not in ("[", "{"):
        return cell
    try:
        return parse(cell)
    except BadJSONError as error:
        try:
            value = _literal(cell.strip(), column)  # as pandas writes a column of lists
        except FieldError:
            raise
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            if cell.strip()[:2] in ('["', "[{", '{"'):
                raise FieldError(column, f"{error}") from error
            return cell  # words that begin with a bracket
        return value if isinstance(value, list | dict) else cell


def _literal(text: str, column: str) -> Any:
    """The value that Python prints so; raises FieldError where a key stands twice, of which one would be lost."""
    tree = ast.parse(text, mode="eval")
    for node in ast.walk(tree):
        keys = [ast.dump(key) for key in node.keys if key] if isinstance(node, ast.Dict) else []
        if len(set(keys)) < len(keys):
            raise FieldError(column, "has a key twice in one object; keep one.")
    return ast.literal_eval(tree)


def several(cell: Any, column: str, separator: str = "") -> list[Any]:
    """The values of a cell: those of a list, or the pieces of a text between separators, `|` and line breaks if none
    is given; blank pieces are dropped.
    """
    value = structure(cell, column)
    if isinstance(value, list):
        return cast("list[Any]", value)
    if isinstance(value, dict):
        return [value]
    if is_blank(value):
        return []
    if not isinstance(value, str):
        return [value]
    pieces = value.split(separator) if separator else _PARTS.split(value)
    return [piece.strip() for piece in pieces if piece.strip()]
