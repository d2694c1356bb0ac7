"""JSON without its traps: no key twice, no NaN or infinity, no number that a computer chokes on.

Python's parser keeps the last of two equal keys and accepts NaN; a data file with either is damaged. This
file knows nothing of files and records.
"""

import json
import math
from typing import Any


class BadJSONError(ValueError):
    """The text is no JSON value that we accept; the message says why and what to do, `index` where in the text."""

    def __init__(self, message: str, index: int = 0) -> None:
        super().__init__(message)
        self.index = index


def parse(text: str) -> Any:
    """The JSON value of `text`; raises BadJSONError."""
    value, end = parse_at(text, len(text) - len(text.lstrip()))
    behind = end + len(text[end:]) - len(text[end:].lstrip())
    if behind < len(text):
        raise BadJSONError(f"not JSON (more text after the value, from character {behind}); mend it.", behind)
    return value


def parse_at(text: str, start: int) -> tuple[Any, int]:
    """The JSON value that begins at `start` and the index behind it; raises BadJSONError."""
    try:
        return _STRICT.raw_decode(text, start)
    except BadJSONError as error:
        raise BadJSONError(str(error), start) from error
    except json.JSONDecodeError as error:
        what = error.msg.removesuffix(" at")  # some of Python's messages end so
        raise BadJSONError(f"not JSON ({what} at character {error.pos - start}); mend it.", error.pos) from error
    except RecursionError as error:
        raise BadJSONError("not usable JSON (nested too deeply); flatten it.", start) from error
    except ValueError as error:  # Python refuses to convert integers of thousands of digits
        raise BadJSONError("not usable JSON (an integer of more than 4,300 digits); shorten it.", start) from error


def end_of_value(text: str, start: int) -> int | None:
    """The index behind the value at `start`, traps forgiven, or None when there is no way to tell."""
    try:
        return json.JSONDecoder(parse_int=str).raw_decode(text, start)[1]
    except (json.JSONDecodeError, RecursionError):
        return None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise BadJSONError(f"the key {twice!r:.60} appears twice in one object; keep one.")
    return members


def _no_constant(name: str) -> Any:
    raise BadJSONError(f"{name} is no JSON number; write a number or null.")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise BadJSONError(f"the number {text:.40} is too large; write a smaller one or null.")
    return value


_STRICT = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_finite)
