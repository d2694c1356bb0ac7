"""Where the seconds of a step go: a clock with named phases."""

import contextlib
import time
from collections import defaultdict
from collections.abc import Generator


class Clock:
    """Adds up wall-clock seconds per phase until they are taken."""

    def __init__(self) -> None:
        self._seconds: defaultdict[str, float] = defaultdict(float)

    @contextlib.contextmanager
    def __call__(self, phase: str) -> Generator[None]:
        """Counts the time in the block towards `phase`."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self._seconds[phase] += time.perf_counter() - start

    def take(self) -> dict[str, float]:
        """The seconds of every phase since the last call, as metrics `time/<phase>_s`."""
        taken = {f"time/{phase}_s": seconds for phase, seconds in self._seconds.items()}
        self._seconds.clear()
        return taken
