"""The compiled search for matching blocks, over many pairs of numbered sequences in one call.

Only `matching.py` imports this file, and only where numba is installed. The machine code is kept beside the source,
so that only the first call on a machine compiles it. Candidates are compared at the one item that would make a block
longer than the best so far; memory is a few numbers per item and per id.
"""

from collections.abc import Callable
from typing import TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int32]
Block = tuple[int, int, int]
Region = tuple[int, int, int, int]
Index = tuple[Ints, Ints]
"""Per item, where its positions begin in the second list (counted from 1, 0 for none) and where they end."""
FunctionT = TypeVar("FunctionT", bound=Callable[..., object])


def _compile(function: FunctionT) -> FunctionT:
    return cast("FunctionT", numba.njit(cache=True, nogil=True, forceinline=True)(function))


@_compile
def find_blocks(ids: Ints, edges: NDArray[np.int64], blocks: Ints, offsets: NDArray[np.int64]) -> None:
    """Fills `blocks` and `offsets` with the matching blocks of the pairs that `edges` cuts `ids` into."""
    vocabulary = ids.max() + 1 if len(ids) else 0
    longest = np.diff(edges).max() if len(edges) > 1 else 0
    rows = np.zeros((vocabulary, 2), np.int32)
    places = np.empty(longest, np.int32)
    stack = np.empty((2 * longest + 8, 4), np.int32)
    found = 0
    for pair in range(len(offsets) - 1):
        a = ids[edges[2 * pair] : edges[2 * pair + 1]]
        b = ids[edges[2 * pair + 1] : edges[2 * pair + 2]]
        _index(b, rows, places)
        found = _of_pair((a, b), (rows, places), stack, blocks, found)
        for item in b:
            rows[item, 0], rows[item, 1] = 0, 0
        offsets[pair + 1] = found


@_compile
def _index(b: Ints, rows: Ints, places: Ints) -> None:
    """Sorts the positions of `b` by item; `rows` holds zeros before."""
    for item in b:
        rows[item, 1] += 1
    filled = 0
    for j in range(len(b)):
        item = b[j]
        if not rows[item, 0]:
            rows[item, 0] = filled + 1
            filled += rows[item, 1]
            rows[item, 1] = rows[item, 0] - 1
        places[rows[item, 1]] = j
        rows[item, 1] += 1


@_compile
def _of_pair(pair: tuple[Ints, Ints], index: Index, stack: Ints, blocks: Ints, found: int) -> int:
    """Writes the blocks of one pair in order, by a stack of regions and of blocks whose left side is done."""
    a, b = pair
    _write(stack, 0, (0, len(a), 0, len(b)))
    top = 1
    while top:
        top -= 1
        a_start, a_end, b_start, b_end = stack[top, 0], stack[top, 1], stack[top, 2], stack[top, 3]
        if b_start < 0:
            blocks[found, 0], blocks[found, 1], blocks[found, 2] = a_start, a_end, b_end
            found += 1
            continue
        size, i, j = _longest(a, b, (a_start, a_end, b_start, b_end), index)
        if not size:
            continue
        if i + size < a_end and j + size < b_end:
            _write(stack, top, (i + size, a_end, j + size, b_end))
            top += 1
        _write(stack, top, (i, j, -1, size))
        top += 1
        if a_start < i and b_start < j:
            _write(stack, top, (a_start, i, b_start, j))
            top += 1
    return found


@_compile
def _write(stack: Ints, row: int, values: Region) -> None:
    stack[row, 0], stack[row, 1], stack[row, 2], stack[row, 3] = values


@_compile
def _longest(a: Ints, b: Ints, region: Region, index: Index) -> Block:
    """Length and place of the longest block that both sides of the region hold; the first of equals."""
    i, a_end, b_start, b_end = region
    rows, places = index
    size, found_i, found_j = 0, 0, 0
    while i + size < a_end:
        place, end = rows[a[i], 0] - 1, rows[a[i], 1]
        if place >= 0 and b_start:
            place = _from(places, int(place), int(end), b_start)
        while 0 <= place < end:
            j = places[place]
            if j + size >= b_end or i + size >= a_end:
                break
            if a[i + size] == b[j + size]:
                reached = 1
                while i + reached < a_end and j + reached < b_end and a[i + reached] == b[j + reached]:
                    reached += 1
                if reached > size:
                    size, found_i, found_j = reached, i, j
            place += 1
        i += 1
    return size, found_i, found_j


@_compile
def _from(places: Ints, low: int, high: int, start: int) -> int:
    """The first of the ascending `places[low:high]` that is not below `start`."""
    while low < high:
        middle = (low + high) >> 1
        if places[middle] < start:
            low = middle + 1
        else:
            high = middle
    return low
