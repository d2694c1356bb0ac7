"""How far each annotator agrees with the others, and how agreement went from one time to the next.

Judged are sub-sentences: which category somebody marked there, or none. A person's figure is Krippendorff's alpha of
that person against each of the others on the same responses, so that chance is taken off and no answer is the truth.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from spanwise.core import numpy_generator
from spanwise.feedback.schema import FeedbackRecord, Response
from spanwise.feedback.statistics.agreement import Alpha, Matrix, coincidences, pooled_alpha
from spanwise.text import Span, get_segmenter

Unit = dict[str, int]
"""What each annotator said of one sub-sentence: 0 for nothing, else the place of the category from 1."""


def reliabilities(
    items: Sequence[Sequence[FeedbackRecord]], categories: Sequence[str], *, resamples: int = 1000, seed: int = 0
) -> dict[str, Alpha]:
    """Alpha of each annotator against all others, with its 95 % interval over items.

    `items` holds, for each item, one record per person; of several `categories` on one place the first counts.
    """
    size = len(categories) + 1
    matrices: dict[str, list[Matrix]] = defaultdict(list)
    judged: dict[str, int] = defaultdict(int)
    for records in items:
        units = list(_units(records, categories))
        for name in sorted({name for unit in units for name in unit}):
            own = [unit for unit in units if name in unit]
            matrices[name].append(sum((_against(unit, name, size) for unit in own), np.zeros((size, size))))
            judged[name] += len(own)
    return {
        name: pooled_alpha(by_item, judged[name], resamples=resamples, seed=seed)
        for name, by_item in sorted(matrices.items())
    }


def agreement_by(
    items: Mapping[str, Sequence[Sequence[FeedbackRecord]]],
    categories: Sequence[str],
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Alpha]:
    """Alpha of all annotators together for each group of items, such as those of one week."""
    figures: dict[str, Alpha] = {}
    for group, of_group in items.items():
        units = [list(_units(records, categories)) for records in of_group]
        matrices = [coincidences([list(unit.values()) for unit in some], len(categories) + 1) for some in units]
        figures[group] = pooled_alpha(matrices, sum(map(len, units)), resamples=resamples, seed=seed)
    return figures


def interval_of_mean(values: Sequence[float], *, resamples: int = 1000, seed: int = 0) -> tuple[float, float] | None:
    """The 95 % bootstrap interval of a mean; None for fewer than two values."""
    if len(values) < 2:
        return None
    drawn = numpy_generator(seed, "reliability/mean").choice(np.asarray(values), size=(resamples, len(values)))
    low, high = np.quantile(drawn.mean(axis=1), [0.025, 0.975])
    return float(low), float(high)


def _units(records: Sequence[FeedbackRecord], categories: Sequence[str]) -> Iterator[Unit]:
    """What people said of each sub-sentence that two or more of them looked at."""
    cut = get_segmenter("sub-sentence")
    for versions in zip(*(record.responses for record in records), strict=True):
        looked = [
            (record.annotator or "", version)
            for record, version in zip(records, versions, strict=True)
            if version.marked
        ]
        if len(looked) < 2:
            continue
        places = [_categories_at(version, categories, cut(version.text)) for _, version in looked]
        for said in zip(*places, strict=True):
            yield {name: value for (name, _), value in zip(looked, said, strict=True)}


def _categories_at(response: Response, categories: Sequence[str], segments: Sequence[Span]) -> list[int]:
    rank = {name: place + 1 for place, name in enumerate(categories)}
    found: list[int] = []
    for segment in segments:
        touching = [
            rank[mark.category] for mark in response.spans if mark.category in rank and mark.span.overlap(segment)
        ]
        found.append(min(touching, default=0))
    return found


def _against(unit: Unit, name: str, size: int) -> Matrix:
    """The coincidences of one person's value with those of the others, which together weigh as much as that one."""
    matrix = np.zeros((size, size))
    others = [value for other, value in unit.items() if other != name]
    for value in others:
        matrix[unit[name], value] += 1 / len(others)
        matrix[value, unit[name]] += 1 / len(others)
    return matrix
