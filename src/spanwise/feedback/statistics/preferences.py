"""What preferences say beside quality: does the place in the list, or the length, decide who wins?

Preferences by people can carry an order effect so strong that "the first listed wins" beats a trained model
(wu2023.md 1.4). These figures show it.
"""

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from spanwise.feedback.schema import FeedbackRecord
from spanwise.feedback.statistics.spread import Spread, share
from spanwise.text import count_words, split_words

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


def describe_preferences(records: Sequence[FeedbackRecord]) -> PreferenceStatistics:
    """Counts winners, positions, lengths and contradictions."""
    outcomes = Counter(preference.winner for record in records for preference in record.preferences)
    decided = outcomes["first"] + outcomes["second"]
    compared = [record for record in records if record.preferences]
    ties = [sum(preference.winner == "tie" for preference in record.preferences) for record in compared]
    longer = Counter(sign for record in records for sign in _length_signs(record))
    places = ([_SIGNS[preference.winner] for preference in record.preferences] for record in compared)
    lengths = (list(_length_signs(record)) for record in compared)
    fits = [_contradictions(record) for record in compared]
    return PreferenceStatistics(
        first=outcomes["first"],
        second=outcomes["second"],
        tie=outcomes["tie"],
        first_listed_win_rate=share(outcomes["first"], decided),
        first_listed_z=fair_coin_z(_surpluses(places)),
        win_rate_by_position=_win_rates(records),
        reference_overlap_by_position=_overlaps(compared),
        longer_preferred=longer[1],
        shorter_preferred=longer[-1],
        equal_length_preferred=longer[0],
        longer_z=fair_coin_z(_surpluses(lengths)),
        ties=Spread.of(ties),
        items_without_ties=ties.count(0),
        items_all_ties=sum(count == len(record.preferences) for count, record in zip(ties, compared, strict=True)),
        cyclic_items=sum(cyclic for cyclic, _ in fits),
        intransitive_items=sum(intransitive for _, intransitive in fits),
    )


def fair_coin_z(surpluses: Sequence[int]) -> float | None:
    """How many standard deviations the heads less the tails lie above what a fair coin gives; None without a throw.

    A surplus is that of one throw, 1 or -1, or of several that hang together and so count as one.
    """
    if not surpluses:
        return None
    spread = math.sqrt(sum(surplus**2 for surplus in surpluses))
    return sum(surpluses) / spread if spread else 0.0


def _surpluses(items: Iterable[Sequence[int]]) -> list[int]:
    """Heads less tails of each item with a throw: preferences among the same answers are not independent."""
    return [sum(thrown) for thrown in items if any(thrown)]


def decided(record: FeedbackRecord) -> Iterator[tuple[int, int]]:
    """Yields (winner, loser) as positions in `responses` of every decided preference."""
    for preference in record.preferences:
        if preference.winner != "tie":
            first, second = preference.first, preference.second
            yield (first, second) if preference.winner == "first" else (second, first)


def _win_rates(records: Sequence[FeedbackRecord]) -> list[float | None]:
    wins: Counter[int] = Counter()
    games: Counter[int] = Counter()
    for winner, loser in itertools.chain.from_iterable(decided(record) for record in records):
        wins[winner] += 1
        games.update((winner, loser))
    return [share(wins[position], games[position]) for position in range(max(games, default=-1) + 1)]


def _length_signs(record: FeedbackRecord) -> Iterator[int]:
    lengths = [count_words(response.text) for response in record.responses]
    for winner, loser in decided(record):
        yield (lengths[winner] > lengths[loser]) - (lengths[winner] < lengths[loser])


def _contradictions(record: FeedbackRecord) -> tuple[bool, bool]:
    """Whether some three responses are a strict cycle, and whether some three fit no ranking with ties."""
    beats: dict[tuple[int, int], int] = {}
    for preference in record.preferences:
        beats[preference.first, preference.second] = _SIGNS[preference.winner]
        beats[preference.second, preference.first] = -_SIGNS[preference.winner]
    cyclic = intransitive = False
    for a, b, c in itertools.permutations(range(len(record.responses)), 3):
        ab, bc, ac = beats.get((a, b)), beats.get((b, c)), beats.get((a, c))
        if ab is None or bc is None or ac is None or min(ab, bc) < 0:
            continue
        cyclic |= ab == bc == 1 and ac == -1
        intransitive |= ac != max(ab, bc)
    return cyclic, intransitive


def _overlaps(records: Sequence[FeedbackRecord]) -> list[float | None]:
    scored = [record for record in records if record.references]
    width = max((len(record.responses) for record in scored), default=0)
    overlaps: list[list[float]] = [[] for _ in range(width)]
    for record in scored:
        for position, response in enumerate(record.responses):
            overlaps[position].append(max(_overlap(response.text, reference) for reference in record.references))
    return [float(np.mean(values)) for values in overlaps]


def _overlap(text: str, reference: str) -> float:
    ours, theirs = Counter(split_words(text.lower())), Counter(split_words(reference.lower()))
    common = (ours & theirs).total()
    return 2 * common / (ours.total() + theirs.total()) if common else 0.0
