"""Learns from one rollout and then runs some steps, in as many processes as a launcher starts; see test_processes.py.

torchrun --standalone --nproc-per-node 2 -m doubles.two_processes FOLDER

With ACCELERATE_USE_FSDP=true and FSDP_VERSION=2 the weights are split over the processes.
"""

import shutil
import sys
from pathlib import Path

import torch

from doubles.rl_world import small_trainer
from spanwise.training.processes import Processes, launched

KINDS = {
    "full": {},
    "lora": {"lora": {"rank": 4, "alpha": 8.0}},
    # Parts of unlike number and width, and a policy whose states the value head reads.
    "uneven": {"update": {"micro_batch_tokens": 20}},
    "joint": {"value_backbone": "policy"},
}


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    processes, _device = launched()
    for kind, settings in KINDS.items():
        alone = small_trainer(folder / f"{kind}-rollout-{processes.rank}", processes=Processes())
        trainer = small_trainer(folder / f"{kind}-{processes.rank}", processes=processes, **settings)
        metrics = trainer.learn(alone.rollout(1), 1)
        tensors = {name: tensor.detach().clone() for name, tensor in trainer.updater.tensors().items()}
        weights = trainer.parts.policy.weights()
        if processes.writes:
            torch.save({"metrics": metrics, "tensors": tensors, "weights": weights}, folder / f"{kind}.pt")
    run(folder / "run", processes)
    if processes.writes:
        shutil.copytree(folder / "run", folder / "again")
        shutil.rmtree(folder / "again" / "checkpoints" / "step-000003")
    processes.wait()
    run(folder / "again", processes, resume=True)
    processes.wait()


def run(folder: Path, processes: Processes, *, resume: bool = False) -> None:
    """Three steps with a training state after each."""
    small_trainer(folder, steps=3, training_states={"every": 1, "keep": 3}, processes=processes).run(resume=resume)


if __name__ == "__main__":
    main()
