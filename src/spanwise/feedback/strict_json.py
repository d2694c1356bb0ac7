"""JSON without its traps: no key twice, no NaN or infinity, no number that a computer chokes on.

Python's parser keeps the last of two equal keys and accepts NaN; a data file with either is damaged. This
file knows nothing of records.
"""

import json
import math
from typing import Any


class BadJSONError(ValueError):
    """The text is no JSON value that we accept; the message says why and what to do."""


def parse(text: str) -> Any:
    """The JSON value of `text`; raises BadJSONError."""
    value, end = parse_at(text, len(text) - len(text.lstrip()))
    if text[end:].strip():
        raise BadJSONError(f"not JSON (more text after the value, from character {end}); mend it.")
    return value


def parse_at(text: str, start: int) -> tuple[Any, int]:
    """The JSON value that begins at `start` and the index behind it; raises BadJSONError."""
    try:
        return _STRICT.raw_decode(text, start)
    except BadJSONError:
        raise
    except json.JSONDecodeError as error:
        raise BadJSONError(f"not JSON ({error.msg} at character {error.pos - start}); mend it.") from error
    except RecursionError as error:
        raise BadJSONError("not usable JSON (nested too deeply); flatten it.") from error
    except ValueError as error:  # Python refuses to convert integers of thousands of digits
        raise BadJSONError("not usable JSON (an integer of more than 4,300 digits); shorten it.") from error


def end_of_value(text: str, start: int) -> int | None:
    """The index behind the value at `start`, traps forgiven, or None when there is no way to tell."""
    try:
        return json.JSONDecoder(parse_int=str).raw_decode(text, start)[1]
    except (json.JSONDecodeError, RecursionError):
        return None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise BadJSONError(f"the key {twice!r} appears twice in one object; keep one.")
    return found


def _no_constant(name: str) -> Any:
    raise BadJSONError(f"{name} is no JSON number; write a number or null.")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise BadJSONError(f"the number {text:.40} is too large; write a smaller one or null.")
    return value


_STRICT = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_finite)
