"""Replies kept on disk: a judge is asked each thing once, and a run that was killed goes on where it stopped.

One JSON line per reply, keyed by a hash of the judge's version (which covers model, prompt and settings) and the case.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

from spanwise.core import DataError
from spanwise.evals.win_rate.judges.base import Case, Judge, Reply, Usage, fingerprint
from spanwise.feedback import Unscored


class CachedJudge:
    """A judge that looks into a file first and appends what is new, line by line."""

    def __init__(self, judge: Judge, path: Path) -> None:
        self._judge, self._path = judge, path
        self._known = _read(path)

    @property
    def name(self) -> str:
        """The judge's."""
        return self._judge.name

    @property
    def version(self) -> str:
        """The judge's."""
        return self._judge.version

    @property
    def sees_order(self) -> bool:
        """The judge's."""
        return self._judge.sees_order

    def judge(self, cases: Sequence[Case]) -> Iterator[tuple[int, Reply]]:
        """Known replies first, free of charge; then the others as the judge gives them, each asked once."""
        waiting: dict[str, list[int]] = {}
        for place, case in enumerate(cases):
            key = fingerprint(self.version, case.instruction, case.first, case.second)
            if key in self._known:
                yield place, self._known[key]
            else:
                waiting.setdefault(key, []).append(place)
        keys = list(waiting)
        for number, reply in self._judge.judge([cases[waiting[key][0]] for key in keys]):
            key = keys[number]
            if reply.lasting:
                self._keep(key, reply)
            free = Reply(reply.share, reply.text, lasting=reply.lasting)
            yield from ((place, free if again else reply) for again, place in enumerate(waiting[key]))

    def _keep(self, key: str, reply: Reply) -> None:
        unscored = isinstance(reply.share, Unscored)
        row = {
            "key": key,
            "judge": self.name,
            "share": None if isinstance(reply.share, Unscored) else reply.share,
            **({"reason": cast("Unscored", reply.share).reason} if unscored else {}),
            "text": reply.text,
        }
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(row) + "\n")
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise DataError(f"{self._path}: cannot keep replies ({reason}); choose another cache.") from error
        self._known[key] = Reply(reply.share, reply.text)


def _read(path: Path) -> dict[str, Reply]:
    """The replies of a file that may be absent; a line cut short by a kill is mended by a line break behind it."""
    if not path.exists():
        return {}
    try:
        content = path.read_bytes()
        if content and not content.endswith(b"\n"):
            with path.open("ab") as stream:
                stream.write(b"\n")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise DataError(f"{path}: cannot be read ({reason}); choose another cache.") from error
    rows = (_row(line) for line in content.splitlines())
    return {row["key"]: _reply(row) for row in rows if row is not None}


def _row(line: bytes) -> dict[str, Any] | None:
    """The row of one line, or None for half a line: what it held is asked again."""
    try:
        row = json.loads(line)
    except ValueError:
        return None
    whole = (
        isinstance(row, dict) and isinstance(row.get("key"), str) and ("reason" in row or _is_share(row.get("share")))
    )
    return cast("dict[str, Any]", row) if whole else None


def _is_share(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1


def _reply(row: dict[str, Any]) -> Reply:
    share = Unscored(str(row["reason"])) if "reason" in row else float(row["share"])
    return Reply(share, str(row.get("text", "")), Usage())
