"""The processes that share a run, one per device: who reads which rows, and sums over all of them.

Every process holds all weights, or a part of each where they are split, and takes its part of the prompts, rows and
held-out prompts. Losses are divided by the tokens of the whole minibatch, so gradients and metrics of the parts are
summed, and the result is that of one process up to rounding. `accelerate launch` (or torchrun) starts them. Knows
nothing of models and losses.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, distributed

T = TypeVar("T")


class Processes:
    """Process number `rank` of `count`; alone, nothing is sent to anyone.

    With `splits` the weights are split over the processes, which then read in lockstep.
    """

    def __init__(self, rank: int = 0, count: int = 1, *, splits: bool = False) -> None:
        self.rank = rank
        self.count = count
        self.splits = splits and count > 1

    @property
    def writes(self) -> bool:
        """Whether this is the process that writes files and speaks."""
        return self.rank == 0

    def named(self, purpose: str) -> str:
        """The name of this process's random numbers for a purpose; the first process has those of one alone."""
        return purpose if self.rank == 0 else f"{purpose}/process {self.rank}"

    def share(self, items: Sequence[T]) -> Sequence[T]:
        """This process's part of `items`; the parts of all processes, one after the other, are `items`."""
        if self.count == 1:
            return items
        start, end = (len(items) * rank // self.count for rank in (self.rank, self.rank + 1))
        return items[start:end]

    def gather(self, part: T) -> list[T]:
        """What each process gave, in the order of their numbers. `part` must be picklable and on the CPU."""
        if self.count == 1:
            return [part]
        parts: list[Any] = [None] * self.count
        distributed.all_gather_object(parts, part)
        return cast("list[T]", parts)

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Replaces each tensor by its sum over all processes."""
        if self.count == 1:
            return
        for tensor in tensors:
            distributed.all_reduce(tensor)

    def add_up_numbers(self, numbers: Mapping[str, float]) -> dict[str, float]:
        """The sums over all processes; a name that a process lacks counts 0 there."""
        if self.count == 1:
            return dict(numbers)
        parts = self.gather(dict(numbers))
        names = dict.fromkeys(name for part in parts for name in part)
        return {name: sum(part.get(name, 0.0) for part in parts) for name in names}

    def wait(self) -> None:
        """Returns when all processes are here."""
        if self.count > 1:
            distributed.barrier()


def launched() -> tuple[Processes, str | None]:
    """The processes that a launcher started and this one's device, None where that is the CPU; alone without one."""
    if not distributed.is_torchelastic_launched():
        return Processes(), None
    # A second of import that one process alone does without.
    from accelerate import PartialState  # noqa: PLC0415
    from accelerate.utils import parse_flag_from_env  # noqa: PLC0415

    state = PartialState(cpu=not torch.cuda.is_available())
    device = state.device
    device_name = None if device is None or device.type == "cpu" else str(device)
    splits = parse_flag_from_env("ACCELERATE_USE_FSDP")
    return Processes(state.process_index, state.num_processes, splits=splits), device_name
