"""Which prompts a step takes: every prompt once per pass, in an order of its own for each pass.

A pure function of seed and step, so that a run can go on from any step.
"""

from collections.abc import Sequence
from typing import TypeVar

from spanwise.seeding import numpy_generator

T = TypeVar("T")


def prompts_of_step(prompts: Sequence[T], *, step: int, count: int, seed: int) -> list[T]:
    """The `count` prompts of training step `step`, counted from 0; passes follow one another without a gap."""
    chosen: list[T] = []
    position = step * count
    while len(chosen) < count:
        passes, offset = divmod(position + len(chosen), len(prompts))
        order = numpy_generator(seed, f"prompts/{passes}").permutation(len(prompts))
        chosen += [prompts[int(i)] for i in order[offset : offset + count - len(chosen)]]
    return chosen
