"""Learns from one rollout and then runs two steps, in as many processes as a launcher starts; see test_processes.py.

torchrun --standalone --nproc-per-node 2 tests/two_processes.py FOLDER
"""

import sys
from pathlib import Path

import torch
from rl_doubles import small_trainer

from spanwise.rl.processes import Processes, launched


def main() -> None:
    folder = Path(sys.argv[1])
    processes, _device = launched()
    for kind, lora in (("full", None), ("lora", {"rank": 4, "alpha": 8.0})):
        alone = small_trainer(folder / f"{kind}-rollout-{processes.rank}", processes=Processes())
        trainer = small_trainer(folder / f"{kind}-{processes.rank}", lora=lora, processes=processes)
        metrics = trainer.learn(alone.rollout(1), 1)
        if processes.writes:
            tensors = {name: tensor.detach().clone() for name, tensor in trainer.updater.tensors().items()}
            torch.save({"metrics": metrics, "tensors": tensors}, folder / f"{kind}.pt")
    small_trainer(folder / "run", processes=processes).run()
    processes.wait()


if __name__ == "__main__":
    main()
