"""What the figures of a feedback file warn of: one sentence each, with the figure and what follows from it."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from spanwise.feedback.statistics.edits import EditStatistics
from spanwise.feedback.statistics.preferences import PreferenceStatistics

CERTAIN_Z = 3.0
"""Chance reaches this many standard deviations in one of 370 files."""
FEW_SPANS = 30
"""With fewer spans of a category, an error rate cannot be told within ten points."""
MINIMAL_KEPT = 0.7
"""Minimal edits leave most words alone."""


@dataclass(frozen=True, slots=True)
class Facts:
    """Counts that the warnings need."""

    items: int
    responses: int
    marked: int
    empty: int
    overlapping: int


def cautions(facts: Facts, spans: Counter[str], preferences: PreferenceStatistics, edits: EditStatistics) -> list[str]:
    """The warnings that apply, the gravest first."""
    return [*_about_preferences(preferences, facts), *_about_responses(facts, spans), *_about_edits(edits)]


def _about_preferences(figures: PreferenceStatistics, facts: Facts) -> Iterator[str]:
    rate, z = figures.first_listed_win_rate, figures.first_listed_z
    if rate is not None and z is not None and abs(z) > CERTAIN_Z:
        decided = figures.first + figures.second
        yield (
            f"The answer listed first wins {rate:.1%} of {decided:,} decided preferences (z = {z:.1f}; 50% is chance): "
            "the order of the list is in the labels. Compare every preference model with the rule that the first "
            "wins, and show answers in random order."
        )
    length_z = figures.longer_z
    if length_z is not None and abs(length_z) > CERTAIN_Z:
        rate = figures.longer_preferred / (figures.longer_preferred + figures.shorter_preferred)
        yield (
            f"The longer answer wins {rate:.1%} of decided preferences (z = {length_z:.1f}; 50% is chance): a reward "
            "model can score by counting words."
        )
    if figures.intransitive_items:
        yield (
            f"The preferences of {figures.intransitive_items:,} of {facts.items:,} items fit no ranking: no scoring "
            "of single answers can satisfy all of them."
        )


def _about_responses(facts: Facts, spans: Counter[str]) -> Iterator[str]:
    unmarked = facts.responses - facts.marked
    if unmarked:
        yield (
            f"{unmarked:,} of {facts.responses:,} responses ({unmarked / facts.responses:.1%}) were never marked: no "
            "span there means unknown, not perfect."
        )
    if facts.overlapping:
        yield f"Overlapping spans: {facts.overlapping:,}. Where their categories differ, the first by priority counts."
    if facts.empty:
        yield f"Empty responses: {facts.empty:,}. They have no segment that a span reward could judge."
    for category, count in sorted(spans.items()):
        if count < FEW_SPANS:
            yield f"Spans of {category}: only {count}, too few to learn it or to measure how well it was learned."


def _about_edits(edits: EditStatistics) -> Iterator[str]:
    if edits.kept_words is not None and edits.kept_words < MINIMAL_KEPT:
        yield (
            f"Corrections keep only {edits.kept_words:.0%} of the words: they rewrite, they are not minimal edits, and "
            "an untouched word is better evidence than a changed one."
        )
    if edits.blank:
        yield f"Empty corrections: {edits.blank:,}. There the annotators found nothing worth keeping."
