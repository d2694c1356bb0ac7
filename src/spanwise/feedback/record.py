"""What every stored record is made of: texts that survive every file and tokenizer, plain JSON, a strict base class.

Knows nothing of feedback.
"""

import json
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from spanwise.text import unstorable


def storable(text: str) -> str:
    """Returns `text`, or raises ValueError for NUL and lone surrogates, which no file or tokenizer keeps."""
    reason = unstorable(text)
    if reason is not None:
        raise ValueError(f"{reason}; remove it from the text")
    return text


def _with_lf_only(text: str) -> str:
    position = text.find("\r")
    if position >= 0:
        raise ValueError(f"carriage return at character {position}; write line breaks as LF before taking offsets")
    return text


def _filled(text: str) -> str:
    if not text:
        raise ValueError("is empty; fill it in")
    return text


def plain_json(value: dict[str, Any]) -> dict[str, Any]:
    """Returns `value`, or raises ValueError for what a JSON file does not give back as it was."""
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError as error:
        raise ValueError("holds a lone surrogate; remove it") from error
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"holds what JSON cannot hold ({error}); keep plain values only") from error
    return value


Text = Annotated[str, AfterValidator(storable), AfterValidator(_with_lf_only)]
"""Text that survives every file and tokenizer: no NUL, no lone surrogate, line breaks as LF."""

FilledText = Annotated[Text, AfterValidator(_filled)]
"""The same, and not empty."""

Json = Annotated[dict[str, Any], AfterValidator(plain_json)]
"""Open values that a JSON file gives back as they were."""

Index = Annotated[int, Field(ge=0, strict=True)]
"""A position counted from 0."""


class Record(BaseModel):
    """Base of all that is stored: frozen, strict about keys, documented by the string under each field."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
