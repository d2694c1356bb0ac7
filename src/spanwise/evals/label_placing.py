"""Where the labels of points go so that none hides another: boxes in, boxes out, greedily.

Each label tries places around its point, near ones first, and takes the one that hides least. Knows nothing of
pictures: units are whatever the caller measures in.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

GAPS = (6.0, 14.0, 24.0, 36.0, 50.0, 66.0)
"""Distances between a point and its label's box that are tried, in the caller's units (points of type)."""
TURNS = (45, 0, 90, 135, 315, 270, 180, 225, 22.5, 67.5, 112.5, 157.5, 202.5, 247.5, 292.5, 337.5)
"""Directions that are tried, in degrees from the right, the best first."""
HIDDEN, CROSSED, AWAY = 1000.0, 3.0, 0.5
"""Costs: of a label or a point hidden, by share of the label; of a bar crossed; of a step away from the point."""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle with its sides along the axes."""

    left: float
    bottom: float
    right: float
    top: float

    def shared(self, other: "Box") -> float:
        """The area that both cover."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.top, other.top) - max(self.bottom, other.bottom)
        return width * height if width > 0 and height > 0 else 0.0

    @property
    def area(self) -> float:
        """Width times height."""
        return (self.right - self.left) * (self.top - self.bottom)


@dataclass(frozen=True, slots=True)
class Placed:
    """A label's box, and whether it lies so far from its point that a line should join them."""

    box: Box
    far: bool


def place_labels(
    points: Sequence[tuple[float, float]],
    sizes: Sequence[tuple[float, float]],
    *,
    frame: Box,
    radius: float,
    bars: Sequence[Box] = (),
) -> list[Placed]:
    """A box of each size near each point, inside `frame` where there is room.

    `radius` is that of the drawn points, which are not to be hidden; `bars` may be crossed where there is no better
    place. The most crowded points choose first.
    """
    dots = [Box(x - radius, y - radius, x + radius, y + radius) for x, y in points]
    found: dict[int, Placed] = {}
    for place in sorted(range(len(points)), key=lambda one: -_crowd(points, one)):
        taken = [*dots, *(one.box for one in found.values())]
        tries = _tries(points[place], sizes[place])
        found[place] = min(tries, key=lambda own: _cost(own, taken, bars, frame))[1]
    return [found[place] for place in range(len(points))]


def _crowd(points: Sequence[tuple[float, float]], own: int) -> int:
    return sum(math.dist(points[own], other) < GAPS[3] for other in points)


def _tries(point: tuple[float, float], size: tuple[float, float]) -> list[tuple[int, Placed]]:
    """Candidates with their rank: a box whose nearest edge or corner is a gap away from the point."""
    (x, y), (width, height) = point, size
    found: list[tuple[int, Placed]] = []
    for ring, gap in enumerate(GAPS):
        for turn in TURNS:
            across, up = math.cos(math.radians(turn)), math.sin(math.radians(turn))
            middle = x + across * gap + _side(across) * width / 2, y + up * gap + _side(up) * height / 2
            box = Box(
                middle[0] - width / 2, middle[1] - height / 2, middle[0] + width / 2, middle[1] + height / 2
            )  # fmt: skip
            found.append((len(found), Placed(box, ring > 0)))
    return found


def _side(part: float) -> float:
    """How far a label lies to one side, from -1 to 1: wholly from 45 degrees on."""
    return max(-1.0, min(1.0, part * math.sqrt(2)))


def _cost(ranked: tuple[int, Placed], taken: Sequence[Box], bars: Sequence[Box], frame: Box) -> float:
    rank, placed = ranked
    box = placed.box
    hidden = sum(box.shared(other) for other in taken) + box.area - box.shared(frame)
    crossed = sum(box.shared(bar) > 0 for bar in bars)
    return HIDDEN * hidden / box.area + CROSSED * crossed + AWAY * rank
