"""What every stored record is made of: texts that survive every file and tokenizer, plain JSON, a strict base class.

Knows nothing of feedback.
"""

import difflib
import json
from typing import Annotated, Any, cast

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


JUDGEMENTS = {
    "label",
    "labels",
    "chosen",
    "rejected",
    "completions",
    "responses",
    "kto_tag",
    "spans",
    "marked",
    "edited",
}
"""Columns of files that hold feedback: read as mere prompts or demonstrations, what is bad would be imitated."""


def with_metadata(model: type[Record], fields: Any) -> Any:
    """The same fields, columns that no field has under `metadata`; one that is nearly a field's name is let be.

    What is let be is refused later: it is likely to be a slip, and a prompt without its passages would teach nothing.
    So are columns that hold feedback.
    """
    if not isinstance(fields, dict) or not isinstance(fields.get("metadata", {}), dict):
        return fields
    if isinstance(fields.get("id"), int):
        fields = {**fields, "id": str(fields["id"])}
    names = list(model.model_fields)
    others = {
        key: value
        for key, value in cast("dict[str, Any]", fields).items()
        if key not in names and key not in JUDGEMENTS and not difflib.get_close_matches(key, names, n=1, cutoff=0.75)
    }
    if not others:
        return cast("Any", fields)
    return {
        **{key: value for key, value in fields.items() if key not in others},
        "metadata": {**others, **fields.get("metadata", {})},
    }
