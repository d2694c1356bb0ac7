"""Damage as it happens to files: values of another type, keys gone or doubled, text cut, bytes flipped, hostile signs.

Everything follows from one seed, so that a finding can be made again from its number.
"""

import copy
import json
import random
import sys
from collections.abc import Callable, Mapping
from typing import TypeVar

from spanwise.core import SpanwiseError

STRANGE = (
    "", " ", "\x00", "\ud800", "\udc00", "\r", "\r\n", "\n\n", "\u2028", "\ufeff", "\u202e", "😀", "e\u0301",
    "👨\u200d👩\u200d👧", "我", "ที่", "\x1b[2J", "a" * 5000, "-1", "null", "true", "0", "1e999", "../x", "<b>", "Human:",
    "\n\nAssistant:", "http://x/y",
)  # fmt: skip
SCALARS = (
    None, True, False, 0, 1, -1, 2, 3, 1.5, -0.0, 10**30, float("nan"), float("inf"), 2**53, "", "x", [], {}, [[]],
    [None], [{}], {"": ""}, {"text": 1}, ["a", "b"], [1, 2], [1, 2, 3], [0, 1, "x"],
)  # fmt: skip
KEYS = (
    "id", "text", "label", "labels", "spans", "edits", "marked", "start", "end", "result", "annotations", "data",
    "value", "responses", "fields", "status", "type", "spanwise", "meta", "prompt", "choices", "was_cancelled", "",
    "\x00",
)  # fmt: skip
T = TypeVar("T")


def attempt(place: str, call: Callable[[], T]) -> T | SpanwiseError:
    """What the call gives, or the sentence by which it refuses; AssertionError that names `place` for a traceback."""
    try:
        return call()
    except SpanwiseError as error:
        return error
    except BaseException as error:  # the panics of some tokenizers are no Exceptions
        if isinstance(error, (KeyboardInterrupt, MemoryError)):
            raise
        raise AssertionError(f"{place}: {type(error).__name__}: {error}") from error


def told(name: str, figures: Mapping[str, int]) -> None:
    """Writes the figures of a test, which is what the tier is for."""
    line = ", ".join(f"{number:,} {what}" for what, number in figures.items())
    sys.stdout.write(f"\n{name}: {line} ")


class Mutator:
    """Makes damaged copies."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def value(self, value, times: int | None = None):
        """A copy of a JSON value with one to three changes somewhere in it."""
        changed = copy.deepcopy([value])
        for _ in range(times or self.random.choice((1, 1, 1, 2, 3))):
            places = list(_places(changed))
            if places:
                self._change(*self.random.choice(places))
        return changed[0] if changed else None

    def text(self, text: str) -> str:
        """A copy of a text with something cut, doubled or put in."""
        start = self.random.randint(0, len(text))
        end = min(len(text), start + self.random.choice((0, 0, 1, 2, 10, 100)))
        return text[:start] + self.random.choice((*STRANGE, text[start:end] * 2, text[:20])) + text[end:]

    def raw(self, content: bytes) -> bytes:
        """The same for bytes: flipped, cut, doubled, put in."""
        if not content:
            return bytes(self.random.randbytes(3))
        at = self.random.randrange(len(content))
        kind = self.random.randrange(5)
        if kind == 0:
            return content[:at] + bytes([content[at] ^ (1 << self.random.randrange(8))]) + content[at + 1 :]
        if kind == 1:
            return content[:at]
        if kind == 2:
            return content[:at] + self.random.randbytes(self.random.randint(1, 4)) + content[at:]
        if kind == 3:
            return content[:at] + content[at + self.random.randint(1, 30) :]
        return content[:at] + content[max(0, at - 20) : at] * 2 + content[at:]

    def _change(self, holder, key) -> None:
        kind = self.random.randrange(9)
        old = holder[key]
        if kind == 0:
            del holder[key]
        elif kind <= 2:
            holder[key] = copy.deepcopy(self.random.choice(SCALARS))
        elif kind == 3 and isinstance(old, str):
            holder[key] = self.text(old)
        elif kind == 4 and isinstance(old, int):
            holder[key] = old + self.random.choice((-2, -1, 1, 2, 1000))
        elif kind == 5 and isinstance(old, list):
            more = [*old, copy.deepcopy(self.random.choice(SCALARS))]
            holder[key] = self.random.choice((old * 2, old[::-1], old[1:], more))
        elif kind == 6 and isinstance(old, dict):
            old[self.random.choice(KEYS)] = copy.deepcopy(self.random.choice(SCALARS))
        elif kind == 7:
            holder[key] = [old]
        elif kind == 8 and isinstance(old, str):
            holder[key] = self.random.choice(STRANGE)
        else:
            holder[key] = {self.random.choice(KEYS): old}


def _places(value):
    """Every holder with a key or position in it."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield value, key
            yield from _places(inner)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield value, index
            yield from _places(inner)


def dumped(value) -> str:
    """JSON, with NaN and lone surrogates as damaged files have them."""
    return json.dumps(value)
