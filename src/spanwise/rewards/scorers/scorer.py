"""The contract of scorers: whole texts in, the probability of one attribute of each out.

What could not be scored is `Unscored` with a reason, never 0: a 0 would call every text clean that broke the scorer.
Knows nothing of segments, rewards or torch; what is made of the scores is in `rewards/change.py`.
"""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from spanwise.core import CheckpointError
from spanwise.feedback import Unscored

Probability = float | Unscored
"""From 0 to 1, or why there is none."""


@runtime_checkable
class Scorer(Protocol):
    """Anything that says how probably a text has one attribute. Pure but for caches; order and number are kept."""

    @property
    def version(self) -> str:
        """Changes whenever scores may change."""
        ...

    def score(self, texts: Sequence[str]) -> list[Probability]:
        """One probability per text, in order."""
        ...


def checked(value: float, *, source: str) -> Probability:
    """`value` if it is a probability, else Unscored."""
    if 0.0 <= value <= 1.0:
        return value
    return Unscored(f"{source} answered {value!r:.40}, which is no probability")


def check_pin(scorer: Scorer, pinned: str, place: str) -> None:
    """Raises CheckpointError where a version is pinned and `scorer` has another."""
    if pinned and scorer.version != pinned:
        raise CheckpointError(
            f"{place}: its version is {scorer.version}, pinned is {pinned}; scores of different scorers do not "
            "compare. Restore the scorer or change the pin."
        )
