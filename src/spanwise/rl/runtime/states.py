"""Training states on disk: what a killed run needs in order to go on, in folders that are whole or not there.

`step-<n>` holds the tensors, the plain numbers and the checksum of both. A state that does not match its checksums is
never used: the one before it is. Knows nothing of what the tensors and numbers mean.
"""

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from safetensors.torch import load_file, save_file
from torch import Tensor

from spanwise.core import DataError, read_json, write_json
from spanwise.models import whole_folder

_TENSORS, _NUMBERS, _CHECKSUMS = "tensors.safetensors", "numbers.json", "checksums.json"


@dataclass(frozen=True)
class TrainingState:
    """A run after `step` steps: tensors by name, and numbers that JSON can hold."""

    step: int
    tensors: dict[str, Tensor]
    numbers: dict[str, Any]


class StateStore:
    """The training states under `folder`, of which the newest `keep` stay. `say` is told of damaged ones."""

    def __init__(self, folder: Path, *, keep: int, say: Callable[[str], None]) -> None:
        self.folder = folder
        self._keep = keep
        self._say = say

    def save(self, state: TrainingState) -> None:
        """Writes a state, then drops the oldest beyond `keep`; raises CheckpointError when there is no room for it."""
        with whole_folder(self.folder / f"step-{state.step:06d}") as fresh:
            save_file({name: tensor.detach().contiguous() for name, tensor in state.tensors.items()}, fresh / _TENSORS)
            write_json(fresh / _NUMBERS, {"step": state.step, **state.numbers})
            write_json(fresh / _CHECKSUMS, {name: _checksum(fresh / name) for name in (_TENSORS, _NUMBERS)})
        for old in self._folders()[self._keep :]:
            shutil.rmtree(old)

    def newest(self) -> TrainingState | None:
        """The newest state that is intact, None without one; what a killed writer left half-done is removed."""
        for torn in self.folder.glob(".*"):
            shutil.rmtree(torn)
        for folder in self._folders():
            damage = _damage(folder)
            if damage is None:
                numbers = cast("dict[str, Any]", read_json(folder / _NUMBERS))
                return TrainingState(numbers.pop("step"), load_file(folder / _TENSORS), numbers)
            self._say(f"{folder}: damaged ({damage}); it is left out, and the state before it is used.")
        return None

    def clear(self) -> None:
        """Removes all states: a new run begins in this folder."""
        for folder in self._folders():
            shutil.rmtree(folder)

    def _folders(self) -> list[Path]:
        """Newest first."""
        folders = (path for path in self.folder.glob("step-*") if path.is_dir() and path.name[5:].isdecimal())
        return sorted(folders, key=lambda path: int(path.name[5:]), reverse=True)


def _damage(folder: Path) -> str | None:
    """What is wrong with the files of a state, None when nothing is."""
    try:
        expected = cast("dict[str, str]", read_json(folder / _CHECKSUMS))
        wrong = [name for name in (_TENSORS, _NUMBERS) if _checksum(folder / name) != expected.get(name)]
    except (DataError, OSError, AttributeError) as error:
        return str(error).rstrip(".")
    return f"the checksum of {wrong[0]} does not match" if wrong else None


def _checksum(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
