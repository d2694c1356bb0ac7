"""What every stored record is made of: texts that survive every file and tokenizer, plain JSON, a strict base class.

`quick_record` makes a record of a JSON line in compiled code. It takes a line only where the careful way would take it
and make the same record of it; what it does not take says nothing. Knows nothing of feedback.
"""

import difflib
import functools
import json
from typing import Annotated, Any, TypeVar, cast, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import SchemaValidator, core_schema

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
    if not value:
        return value
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


RecordT = TypeVar("RecordT", bound=BaseModel)


def quick_record(model: type[RecordT], line: bytes) -> RecordT | None:
    """The record of a JSON line, or None where the line has to be read carefully, be it good or bad.

    A key that stands twice would be lost without a trace: every key of the line must be one of the record's. Keys are
    told by the colon right behind them, so that a line where some may stand apart from theirs is left to the other way.
    """
    if b"\t" in line or line.find(b"\r", 0, -2) >= 0 or b" :" in line:
        return None
    if b"\\" in line and (b"\\r" in line or b"\\u000" in line):  # carriage returns and NUL as JSON spells them
        return None
    try:
        record = _quick_validator(model).validate_json(line)
    except ValidationError:
        return None
    held = record.__dict__
    if held.get("messages") or held.get("tools"):  # a record with turns of a conversation goes the careful way
        return None
    return record if _given_keys(record) == line.count(b'":') else None


@functools.cache
def _quick_validator(model: type[BaseModel]) -> SchemaValidator:
    """The model's own validator without the checks that `quick_record` makes of the whole line, nor turns to read.

    JSON holds neither carriage return nor NUL raw, and no lone surrogate is read from it. Built anew, for else the
    models inside would bring validators with all their checks.
    """
    return SchemaValidator(_quick(model.__pydantic_core_schema__), _use_prebuilt=False)


def _quick(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_quick(part) for part in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    part = cast("dict[str, Any]", schema)
    if (checks := _checks_of_text(part)) is not None:
        return core_schema.str_schema(min_length=1 if _filled in checks else None)
    if part.get("type") == "function-before" and part["function"]["function"].__name__ == "_turns":
        return _quick(part["schema"])
    return {key: value if key in ("metadata", "function", "cls") else _quick(value) for key, value in part.items()}


def _checks_of_text(schema: dict[str, Any]) -> set[Any] | None:
    """The functions that check a text, where the schema is that of a text with our checks and no others."""
    checks: set[Any] = set()
    while schema.get("type") == "function-after":
        checks.add(schema["function"]["function"])
        schema = schema["schema"]
    return checks if checks and schema == {"type": "str"} and checks <= {storable, _with_lf_only, _filled} else None


def _given_keys(record: BaseModel) -> int:
    """How many keys of objects the JSON had of which the record was made; written to be quick."""
    held, total = record.__dict__, len(record.__pydantic_fields_set__)
    for name in _inner_fields(type(record)):
        if value := held[name]:
            total += _keys_in(value)
    return total


def _keys_in(value: Any) -> int:
    if isinstance(value, BaseModel):
        return _given_keys(value)
    if isinstance(value, tuple | list):
        parts = cast("tuple[Any, ...]", value)
        if isinstance(parts[0] if parts else None, BaseModel) and not _inner_fields(type(parts[0])):
            return sum([len(part.__pydantic_fields_set__) for part in parts])
        return sum(map(_keys_in, parts))
    if isinstance(value, dict):
        return len(cast("dict[str, Any]", value)) + sum(map(_keys_in, cast("dict[str, Any]", value).values()))
    return 0


@functools.cache
def _inner_fields(model: type[BaseModel]) -> tuple[str, ...]:
    """The fields that may hold objects."""
    return tuple(name for name, field in model.model_fields.items() if _holds_objects(field.annotation))


def _holds_objects(annotation: Any) -> bool:
    if annotation is Any or (isinstance(annotation, type) and issubclass(annotation, BaseModel | dict)):
        return True
    return any(
        _holds_objects(part) for part in (*get_args(annotation), getattr(annotation, "__origin__", None)) if part
    )
