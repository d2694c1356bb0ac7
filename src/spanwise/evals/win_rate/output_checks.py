"""Signs that answers are not answers: one text for everything, copies of the reference, nothing at all.

A constant text reached the top of AlpacaEval's leaderboard (NullModel): a win rate alone does not show it. Knows
nothing of judges.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

OPENING = 80
"""Characters that count as an answer's opening; shorter answers have none."""
SUSPICIOUS = 0.05
"""Shares above this are told."""


@dataclass(frozen=True)
class OutputChecks:
    """Shares of all answers, from 0 to 1."""

    answers: int
    constant: float
    """Answers that are the commonest text, 0 where no text stands twice."""
    opening: float
    """Answers that begin as the commonest opening does, 0 where none stands twice."""
    copied: float
    """Answers that are the reference's, letter by letter."""
    empty: float

    @property
    def warnings(self) -> tuple[str, ...]:
        """One sentence for each sign that cannot be overlooked."""
        told = {
            "are one and the same text; a judge's preference for it says nothing of the model": self.constant,
            f"begin with the same {OPENING} characters; look at them": 0.0 if self.constant else self.opening,
            "equal the reference's; such pairs are ties": self.copied,
            "are empty": self.empty,
        }
        return tuple(f"{share:.0%} of the answers {what}." for what, share in told.items() if share > SUSPICIOUS)


def check_outputs(answers: Sequence[str], references: Sequence[str]) -> OutputChecks:
    """The shares for answers and references in the same order; white space at the ends does not count."""
    texts, others = [text.strip() for text in answers], [text.strip() for text in references]
    filled = [text for text in texts if text]
    count = max(1, len(texts))
    return OutputChecks(
        answers=len(texts),
        constant=_commonest(filled) / count,
        opening=_commonest([text[:OPENING] for text in filled if len(text) >= OPENING]) / count,
        copied=sum(bool(one) and one == other for one, other in zip(texts, others, strict=True)) / count,
        empty=(len(texts) - len(filled)) / count,
    )


def _commonest(texts: Sequence[str]) -> int:
    """How often the commonest of them stands there, 0 where all differ."""
    most = max(Counter(texts).values(), default=0)
    return most if most > 1 else 0
