"""How much is read in one forward pass, and what happens when that is too much for the memory.

Sets memory and speed, never the result. Knows nothing of losses or models.
"""

import gc
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from jaxtyping import Int
from torch import Tensor

from spanwise.core import TrainingError
from spanwise.rl.algorithms import ModelInputs
from spanwise.training import Processes

T = TypeVar("T")


class Budget:
    """At most `rows` responses and `tokens` tokens per forward pass, padding included; halved once if memory runs out.

    With split weights every process makes as many passes as the others, and memory that ran out is not tried again.
    A response that is longer than `tokens` is read by itself. `say` is told when the budget is halved. What the rows
    are for is said by `done` ("read", "sampled"); `remedy` names the settings that set the budget.
    """

    def __init__(
        self,
        rows: int,
        tokens: int | None = None,
        *,
        processes: Processes | None = None,
        lockstep: bool = False,
        say: Callable[[str], None] | None = None,
        done: str = "read",
        remedy: str = "update.micro_batch_tokens or update.micro_batch_size",
    ) -> None:
        self.rows = rows
        self.tokens = tokens
        self.halved = False
        self.lockstep = lockstep
        self.processes = processes or Processes()
        self._say = say
        self._done = done
        self._remedy = remedy

    def parts(self, inputs: ModelInputs) -> Sequence[Int[Tensor, " n"]]:
        """Row numbers of each pass over this process's share of `inputs`."""
        mine = inputs.dealt(self.processes.rank, self.processes.count)
        if mine is None:
            return inputs.parts(self.rows, self.tokens)
        return [mine[rows] for rows in inputs.select(mine).parts(self.rows, self.tokens)] if len(mine) else []

    def passes(self, inputs: ModelInputs) -> list[tuple[Int[Tensor, " n"], bool]]:
        """`parts`, each with whether it counts: in lockstep, who has fewer than another reads a row for nothing."""
        mine: list[tuple[Int[Tensor, " n"], bool]] = [(rows, True) for rows in self.parts(inputs)]
        if self.lockstep:
            nothing = torch.zeros(1, dtype=torch.long, device=inputs.response_ids.device)
            mine += [(nothing, False)] * (max(self.processes.gather(len(mine))) - len(mine))
        return mine

    def spend(self, work: Callable[[], T]) -> T:
        """What `work` returns. When memory runs out it is called again with half the budget, the first time in a run.

        `work` must ask for its parts anew and undo what a call before it had gathered. Raises TrainingError when half
        the budget is too much as well.
        """
        try:
            return work()
        except RuntimeError as error:
            if not _is_out_of_memory(error):
                raise
            if self.halved or self.lockstep:
                which = "half the token budget" if self.halved else "weights split over processes"
                raise TrainingError(f"Out of memory with {which}; lower {self._remedy}.") from error
        self.halve()
        return work()  # outside the handler, whose traceback holds on to the tensors of the failed call

    def halve(self) -> None:
        """Half as much per pass from now on."""
        self.halved = True
        self.rows = max(1, self.rows // 2)
        self.tokens = None if self.tokens is None else max(1, self.tokens // 2)
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if self._say is not None:
            tokens = "" if self.tokens is None else f" and {self.tokens} tokens"
            self._say(f"memory ran out; from now on at most {self.rows} responses{tokens} are {self._done} at a time.")


def _is_out_of_memory(error: RuntimeError) -> bool:
    """CUDA has an error of its own; the CPU's allocator raises a plain one that says so."""
    return isinstance(error, torch.OutOfMemoryError) or "not enough memory" in str(error) or "alloc_cpu" in str(error)
