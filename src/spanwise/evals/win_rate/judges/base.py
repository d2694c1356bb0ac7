"""What every judge is: it reads an instruction with two answers and says how far the second is preferred.

Knows nothing of which answer is whose: `judging.py` deals the orders and turns replies back. A reply that is nonsense,
or that never came, is Unscored with its reason.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from spanwise.evals.statistics import Share


@dataclass(frozen=True, slots=True)
class Case:
    """One comparison in the order in which the judge sees it."""

    instruction: str
    first: str
    second: str


@dataclass(frozen=True, slots=True)
class Usage:
    """What was spent: requests, tokens, and money in the unit of the configured prices."""

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.calls + other.calls,
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.cost + other.cost,
        )


@dataclass(frozen=True, slots=True)
class Reply:
    """The share of the second answer, the judge's words, and what they cost."""

    share: Share
    text: str = ""
    usage: Usage = Usage()


@runtime_checkable
class Judge(Protocol):
    """Anything that compares two answers."""

    @property
    def name(self) -> str:
        """What tables call it."""
        ...

    @property
    def sees_order(self) -> bool:
        """Whether the order of the two answers can matter; if not, one order is asked."""
        ...

    def judge(self, cases: Sequence[Case]) -> Iterator[tuple[int, Reply]]:
        """Yields (position in `cases`, reply) for each case once, as soon as it is known, in any order."""
        ...
