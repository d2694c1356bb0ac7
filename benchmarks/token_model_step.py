"""One training step of the token-level reward model against one of the sequence model: same backbone, same pairs.

    python benchmarks/token_model_step.py [--batch N] [--rounds N] [--json]

Both train all weights of the simulated world's base model on the same edit pairs, prompts shared within a row, from
encoded examples to the optimiser's update. CPU seconds of one thread, taken in turn; medians and their ratio. Xu et al.
2024 report 0.3 hours against 0.2.
"""

import argparse
import copy
import json
import statistics
import time
from collections.abc import Callable
from typing import cast

import torch
from rich.console import Console
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from spanwise.core import numpy_generator, torch_generator
from spanwise.feedback import EditPair, FeedbackRecord, Preference, Response
from spanwise.reward_models import FittingConfig, HeadSpec, RewardModelConfig, TokenRewardConfig
from spanwise.reward_models.data import make_batch, pair_examples, token_batch
from spanwise.reward_models.fitting import Fit, TokenFit, adamw
from spanwise.reward_models.fitting.train import prepare
from spanwise.reward_models.network import SpanRewardModel, build_reward_model, encoder_of, load_backbone, pad_id_of
from spanwise.sim import NoiseConfig, Slips, base_checkpoint, edit_answer, make_items, write_answer

Step = Callable[[], None]


def main() -> None:
    """Times both, prints medians and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=8, help="pairs per step")
    parser.add_argument("--rounds", type=int, default=20, help="steps of each; the first two are not counted")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    torch.set_num_threads(1)
    steps = {"sequence": sequence_step(options.batch), "token": token_step(options.batch)}
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(options.rounds):
        for name, step in steps.items():
            start = time.process_time()
            step()
            times[name].append(time.process_time() - start)
    medians = {name: statistics.median(values[2:] or values) for name, values in times.items()}
    found = {
        "pairs_per_step": options.batch,
        "rounds": options.rounds,
        "seconds": {name: round(value, 4) for name, value in medians.items()},
        "ratio": round(medians["token"] / medians["sequence"], 3),
    }
    if options.json:
        print(json.dumps(found))
        return
    Console(soft_wrap=True).print(
        f"{options.batch} pairs: sequence model {1000 * medians['sequence']:.0f} ms, token model "
        f"{1000 * medians['token']:.0f} ms per step, ratio {found['ratio']}",
        highlight=False,
    )


def sequence_step(size: int) -> Step:
    """A step of the sequence model on edits as preferences."""
    model, tokenizer = fresh(HeadSpec("preference", "sequence", "sequence"))
    settings = RewardModelConfig(heads=("preference",), device="cpu")
    examples, _ = prepare(settings, [record_of(pair) for pair in edit_pairs(size)], encoder_of(model, tokenizer))
    fit, pad_id = Fit(settings, model, pad_id_of(tokenizer), None), pad_id_of(tokenizer)
    optimizer = adamw(model, FittingConfig(), [fit.order_offset])
    limit = model.config.window if model.packs else 0

    def step() -> None:
        batch = make_batch(examples, model.config.head_specs, pad_id=pad_id, pack_to=limit)
        update(torch.stack(list(fit.losses(batch).values())).sum(), model, optimizer)

    return step


def token_step(size: int) -> Step:
    """A step of the token model with its default loss on the same edits."""
    model, tokenizer = fresh(HeadSpec("token", "token", "token"))
    settings = TokenRewardConfig(device="cpu")
    examples, _ = pair_examples(edit_pairs(size), encoder_of(model, tokenizer), settings)
    pad_id = pad_id_of(tokenizer)
    fit, optimizer = TokenFit(settings, model, pad_id, None), adamw(model, FittingConfig())
    (head,) = model.config.head_specs
    limit = model.config.window if model.packs else 0

    def step() -> None:
        total, _ = fit.losses(token_batch(examples, head, pad_id=pad_id, pack_to=limit))
        update(total, model, optimizer)

    return step


def fresh(head: HeadSpec) -> tuple[SpanRewardModel, PreTrainedTokenizerBase]:
    """A reward model with one head on a copy of the base model."""
    body, tokenizer = load_backbone(str(base_checkpoint()))
    window = int(body.config.max_position_embeddings)
    model = build_reward_model(copy.deepcopy(body), (head,), window=window, generator=torch_generator(0, "heads"))
    return cast("SpanRewardModel", model.train()), tokenizer


def update(loss: Tensor, model: SpanRewardModel, optimizer: torch.optim.Optimizer) -> None:
    """What both training loops do with a loss."""
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()


def edit_pairs(count: int) -> list[EditPair]:
    """Imperfect demonstrations with the simulated editor's edits."""
    generator = numpy_generator(0, "benchmark")
    found: list[EditPair] = []
    for item in make_items(4 * count, seed=0, split="benchmark"):
        pair = edit_answer(item, write_answer(item.truth, generator, Slips()), generator, NoiseConfig())
        found += [] if pair is None else [pair]
    return found[:count]


def record_of(pair: EditPair) -> FeedbackRecord:
    """The pair as a preference for the edit."""
    return FeedbackRecord(
        id=pair.id,
        prompt=pair.prompt,
        passages=pair.passages,
        responses=(Response(text=pair.original), Response(text=pair.edited)),
        preferences=(Preference(first=0, second=1, winner="second"),),
    )


if __name__ == "__main__":
    main()
