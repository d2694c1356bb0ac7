"""Locks on open files, which end with their process however that ends.

They are the system's own `flock`, since waiting writers must be woken in turn and a lock's file must stay readable;
where there are none (Windows, some network file systems) nobody is held up.
"""

import errno
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
