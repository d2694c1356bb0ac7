"""What preferences say beside quality: does the place in the list, or the length, decide who wins?

Preferences by people can carry an order effect so strong that "the first listed wins" beats a trained model
(wu2023.md 1.4). These figures show it.
"""

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from spanwise.feedback.schema import FeedbackRecord
from spanwise.feedback.statistics.spread import Spread, share
from spanwise.text import split_words

_SIGNS = {"first": 1, "second": -1, "tie": 0}


@dataclass(frozen=True, slots=True)
class PreferenceStatistics:
    """Figures over all compared pairs. Rates are over decided pairs, ties left out."""

    first: int
    second: int
    tie: int
    first_listed_win_rate: float | None
    first_listed_z: float | None
    """Standard deviations from a fair coin, thrown once for all preferences of an item."""
    win_rate_by_position: list[float | None]
    reference_overlap_by_position: list[float | None]
    """Mean F1 of the lower-cased words shared with the best reference: is one position truly better?"""
    longer_preferred: int
    shorter_preferred: int
    equal_length_preferred: int
    longer_z: float | None
    """As of the first listed."""
    ties: Spread | None
    """Ties per compared item."""
    items_without_ties: int
    items_all_ties: int
    cyclic_items: int
    """Items where a beats b, b beats c and c beats a."""
    intransitive_items: int
    """Items whose preferences fit no ranking, ties included."""


class PreferenceCounts:
    """Counts of winners, positions, lengths and contradictions, record by record."""

    def __init__(self) -> None:
        self.outcomes, self.longer = Counter[str](), Counter[int]()
        self.wins, self.games, self.ties = Counter[int](), Counter[int](), Counter[int]()
        self.places, self.lengths = Counter[int](), Counter[int]()
        self.overlaps: list[tuple[float, int]] = []
        self.all_ties = self.cyclic = self.intransitive = 0

    def add(self, record: FeedbackRecord, words: Sequence[int]) -> None:
        """Counts the preferences of a record; `words` are the lengths of its responses."""
        if not record.preferences:
            return
        winners = [preference.winner for preference in record.preferences]
        self.outcomes.update(winners)
        self.ties[winners.count("tie")] += 1
        self.all_ties += winners.count("tie") == len(winners)
        signs = [(words[won] > words[lost]) - (words[won] < words[lost]) for won, lost in decided(record)]
        self.longer.update(signs)
        for won, lost in decided(record):
            self.wins[won] += 1
            self.games.update((won, lost))
        for thrown, surpluses in (([_SIGNS[winner] for winner in winners], self.places), (signs, self.lengths)):
            if any(thrown):  # preferences among the same answers are not independent: one throw
                surpluses[sum(thrown)] += 1
        cyclic, intransitive = _contradictions(record)
        self.cyclic, self.intransitive = self.cyclic + cyclic, self.intransitive + intransitive
        if record.references:
            self._add_overlaps(record)

    def _add_overlaps(self, record: FeedbackRecord) -> None:
        references = [_bag(reference) for reference in record.references]
        self.overlaps += [(0.0, 0)] * (len(record.responses) - len(self.overlaps))
        for position, response in enumerate(record.responses):
            bag = _bag(response.text)
            total, number = self.overlaps[position]
            self.overlaps[position] = (total + max(_overlap(bag, reference) for reference in references), number + 1)

    def figures(self) -> PreferenceStatistics:
        """What they say."""
        first, second = self.outcomes["first"], self.outcomes["second"]
        positions = range(max(self.games, default=-1) + 1)
        return PreferenceStatistics(
            first=first,
            second=second,
            tie=self.outcomes["tie"],
            first_listed_win_rate=share(first, first + second),
            first_listed_z=fair_coin_z(self.places),
            win_rate_by_position=[share(self.wins[position], self.games[position]) for position in positions],
            reference_overlap_by_position=[share(total, number) for total, number in self.overlaps],
            longer_preferred=self.longer[1],
            shorter_preferred=self.longer[-1],
            equal_length_preferred=self.longer[0],
            longer_z=fair_coin_z(self.lengths),
            ties=Spread.of(self.ties),
            items_without_ties=self.ties[0],
            items_all_ties=self.all_ties,
            cyclic_items=self.cyclic,
            intransitive_items=self.intransitive,
        )


def fair_coin_z(surpluses: Counter[int]) -> float | None:
    """How many standard deviations the heads less the tails lie above what a fair coin gives; None without a throw.

    A surplus is that of one throw, 1 or -1, or of several that hang together and so count as one; counted is how often
    each occurs.
    """
    if not surpluses:
        return None
    spread = math.sqrt(sum(surplus**2 * times for surplus, times in surpluses.items()))
    return sum(surplus * times for surplus, times in surpluses.items()) / spread if spread else 0.0


def decided(record: FeedbackRecord) -> Iterator[tuple[int, int]]:
    """Yields (winner, loser) as positions in `responses` of every decided preference."""
    for preference in record.preferences:
        if preference.winner != "tie":
            first, second = preference.first, preference.second
            yield (first, second) if preference.winner == "first" else (second, first)


def _contradictions(record: FeedbackRecord) -> tuple[bool, bool]:
    """Whether some three responses are a strict cycle, and whether some three fit no ranking with ties."""
    beats: dict[tuple[int, int], int] = {}
    for preference in record.preferences:
        beats[preference.first, preference.second] = _SIGNS[preference.winner]
        beats[preference.second, preference.first] = -_SIGNS[preference.winner]
    cyclic = intransitive = False
    compared = sorted({number for pair in beats for number in pair})
    for a, b, c in itertools.permutations(compared, 3):
        ab, bc, ac = beats.get((a, b)), beats.get((b, c)), beats.get((a, c))
        if ab is None or bc is None or ac is None or min(ab, bc) < 0:
            continue
        cyclic |= ab == bc == 1 and ac == -1
        intransitive |= ac != max(ab, bc)
    return cyclic, intransitive


def _bag(text: str) -> Counter[str]:
    return Counter(split_words(text.lower()))


def _overlap(ours: Counter[str], theirs: Counter[str]) -> float:
    common = (ours & theirs).total()
    return 2 * common / (ours.total() + theirs.total()) if common else 0.0
