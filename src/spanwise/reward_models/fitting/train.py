"""Trains a reward model: all heads over one backbone at once, on questions apart from those that choose and calibrate.

Puts the parts together: labels, inputs, the loop (`fit.py`) or the exact fit of linear heads (`fit_linear.py`),
calibration, checkpoint.
"""

import copy
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import cast

import numpy as np
import torch
from rich.progress import Progress
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from spanwise.core import DataError, RunFolder, derive_seed, numpy_generator, resolve_device, torch_generator
from spanwise.feedback import FeedbackRecord
from spanwise.reward_models.config import PAIR_HEADS, RewardModelConfig
from spanwise.reward_models.data import Example, InputEncoder, label_records, make_examples
from spanwise.reward_models.fitting.calibration import fit_platt, mean_and_deviation
from spanwise.reward_models.fitting.evaluate import HeadOutputs, HeadQuality, collect_outputs, judge_heads
from spanwise.reward_models.fitting.fit import Fit
from spanwise.reward_models.fitting.fit_linear import fit_linear
from spanwise.reward_models.heads import HeadSpec
from spanwise.reward_models.network import (
    AdaptedRewardModel,
    SpanRewardModel,
    build_reward_model,
    encoder_of,
    first_layers,
    load_backbone,
    pad_id_of,
    save_reward_model,
    window_of,
)

Backbone = tuple[PreTrainedModel, PreTrainedTokenizerBase]


@dataclass(frozen=True, slots=True)
class RewardModelRun:
    """A trained model with its tokenizer, the held-out quality by head, and what the data left out."""

    model: SpanRewardModel
    tokenizer: PreTrainedTokenizerBase
    heads: dict[str, HeadQuality]
    left_out: dict[str, int]

    @property
    def metrics(self) -> dict[str, dict[str, float]]:
        """The held-out metrics by head."""
        return {name: head.metrics for name, head in self.heads.items()}


def train_reward_model(
    config: RewardModelConfig,
    records: Sequence[FeedbackRecord],
    heldout: Sequence[FeedbackRecord] = (),
    *,
    backbone: Backbone | None = None,
    folder: RunFolder | None = None,
    progress: Progress | None = None,
) -> RewardModelRun:
    """Trains on `records`, chooses the best epoch and calibrates on `heldout` (else on a share of the questions).

    Linear heads need no held-out records: without any, they are calibrated and measured by cross-validation.
    `backbone` is copied, not changed; without one, config.backbone is loaded. With a `folder`, config, metrics,
    results and checkpoints/best are written. Raises DataError where a head has nothing to learn from.
    """
    config = config.model_copy(update={"device": resolve_device(config.device)})
    body, tokenizer = (
        backbone if backbone is not None else load_backbone(config.backbone, language_model=config.likelihoods)
    )
    model = _fresh_model(config, copy.deepcopy(body) if backbone is not None else body, tokenizer)
    if not heldout and config.fitting.method == "gradient":
        records, heldout = split_by_question(records, share=config.heldout_share, seed=config.seed)
    encoder, pad_id = encoder_of(model, tokenizer), pad_id_of(tokenizer)
    train, left_out = prepare(config, records, encoder)
    judge, _ = prepare(config, heldout, encoder)
    _check_labels(config, train, place="training")
    if heldout:
        _check_labels(config, judge, place="held-out")
    if folder is not None:
        folder.save_config(config)
    if config.fitting.method == "linear":
        outputs = fit_linear(config, model, train, pad_id, folder)
    else:
        standardize_features(model, train)
        outputs = {}
        with torch.random.fork_rng():  # dropout knows no other generator than the global one
            torch.manual_seed(derive_seed(config.seed, "reward/dropout"))
            Fit(config, model, pad_id, folder).run(train, judge, progress)
    if heldout:
        outputs = collect_outputs(model, judge, batch_size=config.fitting.batch_size, pad_id=pad_id)
    model.config.set_heads([_calibrated(head, outputs[head.name]) for head in model.config.head_specs])
    quality = judge_heads(outputs, model.config.head_specs)
    if folder is not None:
        save_reward_model(folder.checkpoint("best"), model, tokenizer)
        heads = {name: asdict(head) for name, head in quality.items()}
        folder.save_results({"reward_models": heads, "left_out": left_out})
    return RewardModelRun(model, tokenizer, quality, left_out)


def evaluate_reward_model(
    config: RewardModelConfig,
    model: SpanRewardModel,
    tokenizer: PreTrainedTokenizerBase,
    records: Sequence[FeedbackRecord],
) -> tuple[dict[str, HeadQuality], dict[str, int]]:
    """Quality by head of a trained model on other records, and what they left out."""
    names = [head.name for head in model.config.head_specs]
    asked = config.model_copy(update={"heads": tuple(names)})
    examples, left_out = prepare(asked, records, encoder_of(model, tokenizer))
    outputs = collect_outputs(model, examples, batch_size=config.fitting.batch_size, pad_id=pad_id_of(tokenizer))
    return judge_heads(outputs, model.config.head_specs), left_out


def split_by_question(
    records: Sequence[FeedbackRecord], *, share: float, seed: int
) -> tuple[list[FeedbackRecord], list[FeedbackRecord]]:
    """(training, held-out) records; all records of one prompt fall on the same side."""
    prompts = sorted({record.prompt for record in records})
    if len(prompts) < 2:
        raise DataError(f"{len(prompts)} question cannot be split into training and held-out; give more records.")
    order = numpy_generator(seed, "reward/heldout").permutation(len(prompts))
    count = min(len(prompts) - 1, max(1, round(share * len(prompts))))
    chosen = {prompts[index] for index in order[:count]}
    return [r for r in records if r.prompt not in chosen], [r for r in records if r.prompt in chosen]


def head_specs(config: RewardModelConfig) -> tuple[HeadSpec, ...]:
    """The heads that the config asks for, not yet calibrated."""
    rules = config.span_rules
    return tuple(
        HeadSpec(name, "sequence", "sequence") if name in PAIR_HEADS else HeadSpec(name, rules[name].density, "segment")
        for name in config.heads
    )


def prepare(
    config: RewardModelConfig, records: Sequence[FeedbackRecord], encoder: InputEncoder
) -> tuple[list[Example], dict[str, int]]:
    """Labels and encodes `records`; the counts say what was left out and why."""
    labelled, unlabelled = label_records(
        records,
        spans=config.span_rules,
        completeness=config.completeness if "completeness" in config.heads else None,
        preference="preference" in config.heads,
    )
    examples, unread = make_examples(labelled, encoder)
    return examples, {**unlabelled, **unread}


def _fresh_model(
    config: RewardModelConfig, body: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> SpanRewardModel:
    window = window_of(body, tokenizer)
    base = config.backbone or body.name_or_path
    model = build_reward_model(
        body if config.layers is None else first_layers(cast("PreTrainedModel", body.base_model), config.layers),
        head_specs(config),
        pooling=config.pooling,
        use_passages=config.use_passages,
        features=config.features,
        likelihoods=config.likelihoods,
        window=min(window, config.max_length or window),
        generator=torch_generator(config.seed, "reward/heads"),
    )
    if config.lora is not None:
        model = AdaptedRewardModel.on(model, base, config.lora, torch_generator(config.seed, "reward/adapter"))
    return cast("SpanRewardModel", nn.Module.to(model, config.device))


def standardize_features(model: SpanRewardModel, examples: Sequence[Example]) -> None:
    """Takes mean and spread of the counted features, where the model reads any, from the responses of `examples`."""
    if model.feature_heads is None:
        return
    for number, head in enumerate(model.config.head_specs):
        rows = [response.features[head.density] for example in examples for response in example.responses.values()]
        model.feature_heads.standardize(number, torch.from_numpy(np.concatenate(rows)))


def _check_labels(config: RewardModelConfig, examples: Sequence[Example], *, place: str) -> None:
    for name in config.heads:
        known = any(example.labels.segments.get(name) or example.labels.pairs.get(name) for example in examples)
        if not known:
            raise DataError(
                f"The {place} records have no label for the head {name!r}; take it out of heads, give it other data or "
                "check its categories."
            )


def _calibrated(head: HeadSpec, found: HeadOutputs) -> HeadSpec:
    if head.kind == "segment":
        slope, offset = fit_platt(found.logits, found.correct)
        return replace(head, slope=slope, offset=offset)
    mean, std = mean_and_deviation(found.scores)
    return replace(head, mean=mean, std=std)
