"""Locks on open files, which end with their process however that ends.

They are the system's own `flock`, since waiting writers must be woken in turn and a lock's file must stay readable;
where there are none (Windows, some network file systems) nobody is held up.
"""

import contextlib
import errno
import os
import signal
import threading
import time
from collections.abc import Generator
from pathlib import Path
from typing import IO, Any

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

_NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)


def take_lock(stream: IO[Any], *, wait: bool = False) -> bool:
    """Takes the lock of `stream`'s file until the stream is closed; False when somebody else has it.

    With `wait` it waits for its turn. True as well where files have no locks.
    """
    if fcntl is None:
        return True
    try:
        fcntl.flock(stream, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
    return True


def give_lock_back(stream: IO[Any]) -> None:
    """Ends the lock of `stream`'s file before the stream is closed."""
    if fcntl is None:
        return
    try:
        fcntl.flock(stream, fcntl.LOCK_UN)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise


class Turn:
    """Threads and processes take turns at a file, and wait no longer than they want to.

    The system wakes processes in turn, but lets nobody who waits give up. So one thread waits for its whole process;
    what it gets when nobody wants it any more, it gives back.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._thread = threading.Lock()
        self._news = threading.Condition()
        self._file: IO[bytes] | None = None
        self._waits = self._wanted = self._granted = False

    def take(self, seconds: float) -> bool:
        """Whether it is the caller's turn within `seconds`; then `give_back` ends it."""
        until = time.monotonic() + seconds
        if not self._thread.acquire(timeout=max(seconds, 0)):
            return False
        try:
            taken = self._take_file(until)
        except BaseException:
            self._thread.release()
            raise
        if not taken:
            self._thread.release()
        return taken

    def give_back(self) -> None:
        """Ends the turn."""
        if self._file is not None:
            give_lock_back(self._file)
        self._thread.release()

    def close(self) -> None:
        """Closes the file."""
        with self._news:
            if self._file is not None and not self._waits:  # a thread that waits closes with its process
                self._file.close()
            self._file = None

    def _take_file(self, until: float) -> bool:
        if self._path is None:
            return True
        with self._news:
            if self._file is None:
                with contextlib.suppress(OSError):  # without the file the database's own locks remain
                    self._file = self._path.open("ab")
            if self._file is None or (not self._waits and take_lock(self._file)):
                return True
            if not self._waits:
                self._waits = True
                threading.Thread(target=self._wait, args=(self._file,), daemon=True).start()
            self._wanted = True
            self._news.wait_for(lambda: self._granted, timeout=max(until - time.monotonic(), 0))
            granted, self._granted, self._wanted = self._granted, False, False
            return granted

    def _wait(self, file: IO[bytes]) -> None:
        take_lock(file, wait=True)
        with self._news:
            self._waits = False
            if self._wanted and file is self._file:
                self._granted = True
                self._news.notify()
            else:
                give_lock_back(file)


@contextlib.contextmanager
def unpaused() -> Generator[None]:
    """Puts off Ctrl+Z to the end of the block, so that nobody waits for a process that is stopped.

    Only the main thread can, and only where there is Ctrl+Z; elsewhere nothing happens.
    """
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "SIGTSTP"):
        yield
        return
    pressed: list[int] = []
    before = signal.signal(signal.SIGTSTP, lambda number, _: pressed.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTSTP, before)
        if pressed:
            os.kill(os.getpid(), signal.SIGTSTP)
