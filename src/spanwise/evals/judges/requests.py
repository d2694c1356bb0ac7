"""Many requests to a service at once, no faster than allowed. Knows no service."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed

from spanwise.evals.judges.base import Case, Reply


class RateLimit:
    """Spaces calls evenly: at most `per_minute` of them; None does not wait."""

    def __init__(self, per_minute: float | None) -> None:
        self._gap = 60 / per_minute if per_minute else 0.0
        self._lock, self._next = threading.Lock(), 0.0

    def wait(self) -> None:
        """Returns when the next call may go out."""
        with self._lock:
            now = time.monotonic()
            start = max(now, self._next)
            self._next = start + self._gap
        if start > now:
            time.sleep(start - now)


def ask_all(
    ask: Callable[[Case], Reply], cases: Sequence[Case], *, concurrency: int, limit: RateLimit
) -> Iterator[tuple[int, Reply]]:
    """Yields (place, reply) as replies come, with `concurrency` requests under way.

    An exception of `ask` stops the requests that have not begun and is raised.
    """

    def paced(case: Case) -> Reply:
        limit.wait()
        return ask(case)

    with ThreadPoolExecutor(max_workers=concurrency) as pool:
        under_way: dict[Future[Reply], int] = {pool.submit(paced, case): place for place, case in enumerate(cases)}
        try:
            for done in as_completed(under_way):
                yield under_way[done], done.result()
        finally:
            for waiting in under_way:
                waiting.cancel()
