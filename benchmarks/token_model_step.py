"""One training step of the token-level reward model against one of the sequence model: same backbone, same pairs.

    python benchmarks/token_model_step.py [--batch N] [--rounds N] [--json]

Both train all weights of the simulated world's base model on the same edit pairs, prompts shared within a row, from
encoded examples to the optimiser's update. CPU seconds of one thread, taken in turn; medians and their ratio. Xu et al.
2024 report 0.3 hours against 0.2.
"""

import argparse
import copy
import itertools
import json
import statistics
import time
from collections.abc import Callable
from typing import TypeVar, cast

import torch
from rich.console import Console
from transformers import PreTrainedTokenizerBase

from spanwise.core import numpy_generator, torch_generator
from spanwise.feedback import EditPair, FeedbackRecord, Preference, Response
from spanwise.reward_models import FittingConfig, HeadSpec, RewardModelConfig, TokenRewardConfig
from spanwise.reward_models.data import pair_examples
from spanwise.reward_models.fitting import GradientFit, SegmentFit, TokenFit, segment_examples
from spanwise.reward_models.network import SpanRewardModel, build_reward_model, encoder_of, load_backbone, pad_id_of
from spanwise.sim import HABITS, NoiseConfig, base_checkpoint, edit_answer, make_items, write_answer
from spanwise.training import training_steps

Step = Callable[[], None]
Example = TypeVar("Example")


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
    settings = RewardModelConfig(heads=("preference",), device="cpu", fitting=FittingConfig(batch_size=size))
    examples, _ = segment_examples(
        settings, [record_of(pair) for pair in edit_pairs(size)], encoder_of(model, tokenizer)
    )
    return step_of(SegmentFit(settings, model, pad_id_of(tokenizer), examples, examples))


def token_step(size: int) -> Step:
    """A step of the token model with its default loss on the same edits."""
    model, tokenizer = fresh(HeadSpec("token", "token", "token"))
    settings = TokenRewardConfig(device="cpu", fitting=FittingConfig(batch_size=size))
    examples, _ = pair_examples(edit_pairs(size), encoder_of(model, tokenizer), settings)
    return step_of(TokenFit(settings, model, pad_id_of(tokenizer), examples, examples))


def fresh(head: HeadSpec) -> tuple[SpanRewardModel, PreTrainedTokenizerBase]:
    """A reward model with one head on a copy of the base model."""
    body, tokenizer = load_backbone(str(base_checkpoint()))
    window = int(body.config.max_position_embeddings)
    model = build_reward_model(copy.deepcopy(body), (head,), window=window, generator=torch_generator(0, "heads"))
    return cast("SpanRewardModel", model.train()), tokenizer


def step_of(fit: GradientFit[Example]) -> Step:
    """The loop's step on all examples of a fit, again and again."""
    steps = (step for _ in itertools.count() for step in training_steps(fit))
    return lambda: (next(steps), None)[1]


def edit_pairs(count: int) -> list[EditPair]:
    """Imperfect demonstrations with the simulated editor's edits."""
    generator = numpy_generator(0, "benchmark")
    found: list[EditPair] = []
    for item in make_items(4 * count, seed=0, split="benchmark"):
        pair = edit_answer(item, write_answer(item.truth, generator, HABITS), generator, NoiseConfig())
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
