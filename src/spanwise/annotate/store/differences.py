"""What an edit changed: the words that stay, go and come, by Myers' algorithm (1986) with fixed tie-breaks.

The page shows a live diff of its own; what is stored is recomputed here, so that one edit has one reading. The
name of the algorithm is stored beside the operations.
"""

import re
from collections.abc import Sequence
from itertools import groupby, pairwise
from typing import Literal, NamedTuple

from spanwise.text import count_words, pieces

ALGORITHM = "word-myers/2"
MOST_EDITS = 1000
"""Beyond so many, what lies between the common beginning and end counts as replaced: nobody made that word by word."""


class Op(NamedTuple):
    """One run: `sign` "=" or "-" for `[start, end)` of the old text, "+" for `text` inserted at `start`."""

    sign: Literal["=", "-", "+"]
    start: int
    end: int
    text: str | None = None


def diff(old: str, new: str) -> list[Op]:
    """The operations that turn `old` into `new`; deletions stand before insertions at one place."""
    before, after = _pieces(old), _pieces(new)
    head = _common(before, after)
    tail = _common(before[head:][::-1], after[head:][::-1])
    script = "=" * head + _script(before[head : len(before) - tail], after[head : len(after) - tail]) + "=" * tail
    ops: list[Op] = []
    offset, read, written = 0, 0, 0
    for sign, run in groupby(script):
        count = len(list(run))
        if sign == "+":
            ops.append(Op("+", offset, offset, "".join(after[written : written + count])))
            written += count
            continue
        end = offset + len("".join(before[read : read + count]))
        ops.append(Op("-" if sign == "-" else "=", offset, end))
        offset, read = end, read + count
        written += count if sign == "=" else 0
    return ops


def rebuild(old: str, ops: Sequence[Op]) -> str:
    """The new text, from the old one and the operations."""
    return "".join((op.text or "") if op.sign == "+" else old[op.start : op.end] for op in ops if op.sign != "-")


def changed_words(old: str, ops: Sequence[Op]) -> int:
    """How many words an edit touches: at each place the deleted or the inserted ones, whichever are more."""
    changed = deleted = inserted = 0
    for op in ops:
        if op.sign == "=":
            changed += max(deleted, inserted)
            deleted = inserted = 0
        elif op.sign == "-":
            deleted += count_words(old[op.start : op.end])
        else:
            inserted += count_words(op.text or "")
    return changed + max(deleted, inserted)


def _pieces(text: str) -> list[str]:
    """The pieces of a text and what stands between them; joined they are the text again."""
    edges = [0, *(edge for piece in pieces(text) for edge in (piece.start, piece.end)), len(text)]
    return [text[start:end] for start, end in pairwise(edges) if start < end]


def _common(a: Sequence[str], b: Sequence[str]) -> int:
    count = 0
    for x, y in zip(a, b, strict=False):
        if x != y:
            break
        count += 1
    return count


def _script(before: Sequence[str], after: Sequence[str]) -> str:
    """One sign per step of a shortest edit path, deletions first where both would do."""
    trace = _furthest(before, after)
    if trace is None:
        return "-" * len(before) + "+" * len(after)
    x, y = len(before), len(after)
    signs: list[str] = []
    for depth in range(len(trace) - 1, 0, -1):
        reached, k = trace[depth - 1], x - y
        down = k == -depth or (k != depth and reached[k - 1] < reached[k + 1])
        from_k = k + 1 if down else k - 1
        from_x = reached[from_k]
        signs += "=" * (x - from_x - (0 if down else 1))
        signs.append("+" if down else "-")
        x, y = from_x, from_x - from_k
    signs += "=" * x
    return _sorted_runs("".join(reversed(signs)))


def _furthest(before: Sequence[str], after: Sequence[str]) -> list[dict[int, int]] | None:
    """For each number of edits, how far along `before` each diagonal reaches; None when there are too many."""
    trace: list[dict[int, int]] = []
    reached: dict[int, int] = {1: 0}
    width, height = len(before), len(after)
    for depth in range(min(width + height, MOST_EDITS) + 1):
        reaches: dict[int, int] = {}
        for k in range(-depth, depth + 1, 2):
            down = k == -depth or (k != depth and reached[k - 1] < reached[k + 1])
            x = reached[k + 1] if down else reached[k - 1] + 1
            y = x - k
            while x < width and y < height and before[x] == after[y]:
                x, y = x + 1, y + 1
            reaches[k] = x
            if x >= width and y >= height:
                return [*trace, reaches]
        trace.append(reaches)
        reached = reaches
    return None


def _sorted_runs(script: str) -> str:
    """Within each run of changes, deletions before insertions."""
    return re.sub(r"[-+]+", lambda run: "".join(sorted(run.group(), key="-+".index)), script)
