"""The book of replies: every reply that was paid for, one line of JSON each, by the key of its request.

A line is on disk before the reply is used, so that a killed run pays for nothing twice. A last line that was torn by
the kill is left behind when the book is opened again. Knows nothing of clients.
"""

import json
import os
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any

from spanwise.core import BadJSONError, DataError, parse, read_lines
from spanwise.llm.chat import ChatReply, ChatRequest


class ReplyBook:
    """Replies by request key, in memory alone without a path; used from several threads at once."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._replies: dict[str, ChatReply] = {}
        self._refusals: dict[str, str] = {}
        if path is not None and path.exists():
            self._read(path)

    def __len__(self) -> int:
        return len(self._replies)

    def get(self, request: ChatRequest) -> tuple[ChatReply, str | None] | None:
        """The reply to `request` and, where the model refused, its reason; None where there is no reply yet."""
        key = request.key
        return (self._replies[key], self._refusals.get(key)) if key in self._replies else None

    def add(self, request: ChatRequest, reply: ChatReply, refusal: str | None = None) -> None:
        """Writes the reply down, then keeps it; raises DataError where the file cannot be written."""
        row = {"key": request.key, "model": request.model, "reply": asdict(reply), "refusal": refusal}
        with self._lock:
            if self.path is not None:
                _append(self.path, json.dumps(row, ensure_ascii=False).encode("utf-8", errors="backslashreplace"))
            self._keep(row)

    def _keep(self, row: Any) -> None:
        self._replies[row["key"]] = ChatReply(**row["reply"])
        if row["refusal"] is not None:
            self._refusals[row["key"]] = str(row["refusal"])

    def _read(self, path: Path) -> None:
        lines = list(read_lines(path))
        for number, line in lines:
            try:
                self._keep(parse(line.decode("utf-8")))
            except (BadJSONError, UnicodeDecodeError, KeyError, TypeError) as error:
                if number == lines[-1][0] and not line.endswith(b"\n"):
                    os.truncate(path, path.stat().st_size - len(line))
                    return
                raise DataError(f"{path}:{number}: is no reply ({error}); move the file away.") from error


def beside(output: Path, part: str, kind: str = "jsonl") -> Path:
    """Where a part of a run lies that is not the output itself, such as its replies."""
    return output.with_name(f"{output.name.removesuffix('.gz').removesuffix('.jsonl')}.{part}.{kind}")


def _append(path: Path, line: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as stream:
            stream.write(line + b"\n")
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise DataError(f"{path}: cannot keep replies ({reason}); choose another file.") from error
