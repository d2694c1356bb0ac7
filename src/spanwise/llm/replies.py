"""The book of replies: every reply that was paid for, one line each, by the key of its request.

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
    """Replies by request key; used from several threads at once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._replies: dict[str, ChatReply] = {}
        self._refusals: dict[str, str] = {}
        if path.exists():
            self._read()

    def __len__(self) -> int:
        return len(self._replies)

    def get(self, request: ChatRequest) -> tuple[ChatReply, str | None] | None:
        """The reply to `request` and, where the model refused, its reason; None where there is no reply yet."""
        key = request.key
        return (self._replies[key], self._refusals.get(key)) if key in self._replies else None

    def add(self, request: ChatRequest, reply: ChatReply, refusal: str | None = None) -> None:
        """Writes the reply down, then keeps it."""
        row = {"key": request.key, "model": request.model, "reply": asdict(reply), "refusal": refusal}
        line = json.dumps(row, ensure_ascii=False).encode("utf-8", errors="backslashreplace") + b"\n"
        with self._lock:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab") as stream:
                stream.write(line)
                stream.flush()
                os.fsync(stream.fileno())
            self._keep(row)

    def _keep(self, row: Any) -> None:
        self._replies[row["key"]] = ChatReply(**row["reply"])
        if row["refusal"] is not None:
            self._refusals[row["key"]] = str(row["refusal"])

    def _read(self) -> None:
        lines = list(read_lines(self.path))
        for number, line in lines:
            try:
                self._keep(parse(line.decode("utf-8")))
            except (BadJSONError, UnicodeDecodeError, KeyError, TypeError) as error:
                if number == lines[-1][0] and not line.endswith(b"\n"):
                    self._cut(len(line))
                    return
                raise DataError(f"{self.path}:{number}: is no reply ({error}); move the file away.") from error

    def _cut(self, torn: int) -> None:
        with self.path.open("r+b") as stream:
            stream.truncate(self.path.stat().st_size - torn)
