"""Memory of a run's roles: copies of the policy beside adapters on one set of weights.

    python benchmarks/ppo_memory.py [--dtype bf16|fp32] [--rank 16] [--hidden 1152] [--layers 8] [--record NAME]

Two figures for each way: what is held between steps (weights, gradients, optimiser moments of policy, reference and
value model; the reward model, which every way has besides, is left out), and the peak of the process during a step
beyond what it held before its models were made. The default model has 150 million
weights, so that weights and not activations decide.
"""

import argparse
import json
import resource
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from ppo_shape import Shape
from ppo_step import Ours, in_process, make_trainer, resident_gb
from recorded import record
from rich.console import Console
from rich.table import Table

WAYS = {
    "full": Ours(),
    "full, values on the policy's states": Ours(value_backbone="policy"),
    "lora": Ours(lora_rank=16),
    "lora, values on the policy's states": Ours(value_backbone="policy", lora_rank=16),
}


def held_gb(trainer: Any) -> float:
    """All different tensors of weights, gradients and optimisers."""
    models = [trainer.parts.policy.model, trainer.reference.model]
    models += [] if trainer.value_model is None else [trainer.value_model]
    tensors = [parameter for model in models for parameter in model.parameters()]
    tensors += [parameter.grad for parameter in tensors if parameter.grad is not None]
    tensors += trainer.updater.tensors().values()
    return sum({t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors}.values()) / 1e9


def measure(shape: Shape, ours: Ours) -> dict[str, float]:
    """One way in this process."""
    start = resident_gb()
    with tempfile.TemporaryDirectory() as folder:
        trainer = make_trainer(shape, Path(folder), ours)
        weights = sum(p.numel() for n, p in trainer.parts.policy.model.named_parameters() if ".lora_" not in n)
        for step in range(1, shape.steps + 1):
            trainer.step(step)
        return {
            "weights_gb": weights * torch.empty((), dtype=shape.torch_dtype()).element_size() / 1e9,
            "held_gb": held_gb(trainer),
            "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6 - start,
        }


def show(rows: dict[str, dict[str, float]]) -> None:
    table = Table(title="Memory of a run's roles")
    for name in ("way", "held GB", "in weights of one model", "peak of a step GB"):
        table.add_column(name)
    for way, row in rows.items():
        table.add_row(
            way, f"{row['held_gb']:.3f}", f"{row['held_gb'] / row['weights_gb']:.2f}", f"{row['peak_gb']:.3f}"
        )
    Console().print(table)


def main() -> None:
    if sys.argv[1:2] == ["--side"]:
        print(json.dumps(measure(Shape(**json.loads(sys.argv[2])), Ours(**json.loads(sys.argv[3])))))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dtype", choices=("bf16", "fp32"), default="bf16")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--record", metavar="NAME")
    parser.add_argument("--rank", type=int, default=16)
    for name, default in (("responses", 8), ("tokens", 32), ("vocabulary", 32000), ("hidden", 1152), ("layers", 8)):
        parser.add_argument(f"--{name}", type=int, default=default)
    o = parser.parse_args()
    shape = Shape(
        dtype=o.dtype, prompt_tokens=o.tokens, new_tokens=o.tokens, responses=o.responses, micro_batch=o.responses,
        epochs=1, steps=2, vocabulary=o.vocabulary, hidden=o.hidden, layers=o.layers,
    )  # fmt: skip
    rows = {
        way: in_process(
            [sys.executable, __file__, "--side", shape.to_json(),
             json.dumps({"compile": False, "value_backbone": ours.value_backbone,
                         "lora_rank": o.rank if ours.lora_rank else 0})]
        )
        for way, ours in WAYS.items()
    }  # fmt: skip
    found = {"shape": json.loads(shape.to_json()), "rank": o.rank, "rows": rows}
    if o.record:
        record(o.record, " ".join(["python", "benchmarks/ppo_memory.py", *sys.argv[1:]]), found)
    print(json.dumps(found, indent=2)) if o.json else show(rows)


if __name__ == "__main__":
    main()
