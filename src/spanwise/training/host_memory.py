"""What C libraries do with memory on a CPU: what a phase of a step frees is kept while it runs, given back at its end.

Tensors of some megabytes come and go thousands of times in a phase. Taken from the system each time, they are zeroed
page by page, which costs more than many of the operations on them. Kept through the whole step instead, the rest of
one phase would lie beside the needs of the next. Of allocators glibc's is known here; with another nothing happens.
"""

import ctypes
import functools
import os
import sys

import torch

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Parameters of mallopt(3)."""
_LARGE = 2**30
_LARGEST_OF_OLD_VERSIONS = 2**25
_KERNELS = "32"
"""How many kernels oneDNN keeps: it makes one for each shape of a product, and lengths are many. By itself 1,024."""


def keep_freed_memory(device: torch.device) -> bool:
    """From now on, this process keeps what it frees, in blocks of up to a gigabyte, and few of oneDNN's kernels.

    The latter is settled by whoever multiplies matrices first, or by the user's ONEDNN_PRIMITIVE_CACHE_CAPACITY.
    Does nothing where models are on another device than the CPU; returns whether they are not.
    """
    if device.type != "cpu":
        return False
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", _KERNELS)
    library = _glibc()
    if library is not None:
        library.mallopt(_TRIM_THRESHOLD, _LARGE)
        if not library.mallopt(_MMAP_THRESHOLD, _LARGE):
            library.mallopt(_MMAP_THRESHOLD, _LARGEST_OF_OLD_VERSIONS)
    return True


def give_back_freed_memory() -> None:
    """The system has what this process has freed so far."""
    library = _glibc()
    if library is not None:
        library.malloc_trim(0)


@functools.cache
def _glibc() -> ctypes.CDLL | None:
    if not sys.platform.startswith("linux"):
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "mallopt") and hasattr(library, "malloc_trim") else None
