"""What requests bring and answers hold, as JSON: read strictly, and written from records. Knows no endpoint."""

import functools
import json
from typing import Any

from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request

from spanwise.core import SpanwiseError, strict_json


class RequestError(SpanwiseError):
    """The request itself is wrong, in a way that has an HTTP status of its own."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def read_json(request: Request, raw: bytes) -> Any:
    """The body of a request; raises RequestError where it is no JSON in UTF-8."""
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind != "application/json":
        raise RequestError(415, "Send JSON, with the content type application/json.")
    try:
        text = raw.decode()
        value = strict_json.parse(text)
        if "\\u" in text:  # only escapes can hold half a character
            json.dumps(value, ensure_ascii=False).encode()
        return value
    except UnicodeError as error:
        raise RequestError(400, "The body is not UTF-8, or holds a lone surrogate; send whole characters.") from error
    except strict_json.BadJSONError as error:
        raise RequestError(400, f"The body is {error}") from error


def as_json(gives: Any, result: Any) -> Any:
    """The answer in JSON's types."""
    return _adapter(gives).dump_python(result, mode="json") if gives is not None else result


@functools.cache
def _adapter(gives: Any) -> TypeAdapter[Any]:
    """Making one takes longer than most requests."""
    return TypeAdapter(gives)


def first_problem(error: ValidationError) -> str:
    """What is wrong first, and where."""
    first = error.errors()[0]
    field_name = ".".join(map(str, first["loc"])) or "the body"
    return f"{field_name}: {first['msg'].removeprefix('Value error, ').rstrip('.')}."


def to_script(value: Any) -> str:
    """JSON text of what a page's script reads."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
