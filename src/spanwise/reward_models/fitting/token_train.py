"""Trains a token-level reward model from edits, marked spans and word tags, and standardises its rewards.

Puts the parts together: examples, the loop (`token_fit.py`) or the exact fit (`token_fit_linear.py`), statistics on
reference responses, checkpoint. The checkpoint is that of any reward model, with one head of density "token".
"""

import copy
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import torch
from rich.progress import Progress
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from spanwise.core import DataError, RunFolder, derive_seed, numpy_generator, resolve_device, torch_generator
from spanwise.feedback import EditPair, FeedbackRecord, Sample
from spanwise.reward_models.data import (
    EncodedResponse,
    InputEncoder,
    TokenExample,
    collate,
    in_batches,
    label_examples,
    labels_of_edits,
    labels_of_spans,
    labels_of_tags,
    pair_examples,
)
from spanwise.reward_models.fitting.calibration import mean_and_deviation
from spanwise.reward_models.fitting.token_evaluate import collect_rewards, token_metrics
from spanwise.reward_models.fitting.token_fit import TokenFit
from spanwise.reward_models.fitting.token_fit_linear import fit_token_head
from spanwise.reward_models.fitting.train import Backbone
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
from spanwise.reward_models.token_config import TokenRewardConfig


@dataclass(frozen=True, slots=True)
class TokenData:
    """What token rewards are learned from: edit pairs, marked responses, and pairs whose word tags are read."""

    edits: Sequence[EditPair] = ()
    spans: Sequence[FeedbackRecord] = ()
    tags: Sequence[EditPair] = ()

    def prompts(self) -> list[str]:
        """The distinct prompts, in order; what has none goes by its own text."""
        return sorted({_question(item) for item in (*self.edits, *self.spans, *self.tags)})

    def of(self, prompts: set[str]) -> "TokenData":
        """The part of the data that belongs to `prompts`."""
        return TokenData(
            [pair for pair in self.edits if _question(pair) in prompts],
            [record for record in self.spans if _question(record) in prompts],
            [pair for pair in self.tags if _question(pair) in prompts],
        )


@dataclass(frozen=True, slots=True)
class TokenRewardRun:
    """A trained model with its tokenizer, the held-out metrics, and what the data left out."""

    model: SpanRewardModel
    tokenizer: PreTrainedTokenizerBase
    metrics: dict[str, float]
    left_out: dict[str, int]


def train_token_model(
    config: TokenRewardConfig,
    data: TokenData,
    *,
    heldout: TokenData | None = None,
    reference: Sequence[FeedbackRecord] = (),
    backbone: Backbone | None = None,
    folder: RunFolder | None = None,
    progress: Progress | None = None,
) -> TokenRewardRun:
    """Trains on `data` and chooses the best epoch on `heldout` (else on a share of the prompts).

    The rewards of `reference` responses (else of the held-out originals) get mean 0 and deviation 1. `backbone` is
    copied, not changed. With a `folder`, config, metrics, results and checkpoints/best are written. Raises DataError
    where there is nothing to learn from.
    """
    config = config.model_copy(update={"device": resolve_device(config.device)})
    body, tokenizer = backbone or load_backbone(config.backbone, language_model=config.likelihoods)
    window = window_of(body, tokenizer)
    if backbone is not None:
        body = copy.deepcopy(body)
    model = build_reward_model(
        body if config.layers is None else first_layers(cast("PreTrainedModel", body.base_model), config.layers),
        (HeadSpec(config.name, "token", "token"),),
        use_passages=config.use_passages,
        likelihoods=config.likelihoods,
        window=min(window, config.max_length or window),
        generator=torch_generator(config.seed, "reward/heads"),
    )
    if config.lora is not None:
        base = config.backbone or body.name_or_path
        model = AdaptedRewardModel.on(model, base, config.lora, torch_generator(config.seed, "reward/adapter"))
    nn.Module.to(model, config.device)
    if heldout is None:
        data, heldout = split_by_prompt(data, share=config.heldout_share, seed=config.seed)
    encoder, pad_id = encoder_of(model, tokenizer), pad_id_of(tokenizer)
    train, left_out = prepare(config, data, encoder)
    judge, _ = prepare(config, heldout, encoder)
    for place, examples in (("training", train), ("held-out", judge)):
        if not examples:
            raise DataError(f"The {place} data has no edit and no labelled token to learn from: {_counted(left_out)}.")
    if folder is not None:
        folder.save_config(config)
    if config.fitting.method == "linear" or config.likelihoods:
        fit_token_head(config, model, train, judge, pad_id=pad_id, folder=folder)
    if config.fitting.method == "gradient":
        with torch.random.fork_rng():  # dropout knows no other generator than the global one
            torch.manual_seed(derive_seed(config.seed, "reward/dropout"))
            TokenFit(config, model, pad_id, folder).run(train, judge, progress)
    size = config.fitting.batch_size
    metrics = token_metrics(collect_rewards(model, judge, batch_size=size, pad_id=pad_id))
    standardize(model, _reference(reference, judge, encoder), batch_size=size, pad_id=pad_id)
    if folder is not None:
        save_reward_model(folder.checkpoint("best"), model, tokenizer)
        folder.save_results(
            {"reward_models": {config.name: {"density": "token", "metrics": metrics}}, "left_out": left_out}
        )
    return TokenRewardRun(model, tokenizer, metrics, left_out)


def split_by_prompt(data: TokenData, *, share: float, seed: int) -> tuple[TokenData, TokenData]:
    """(training, held-out) data; all that belongs to one prompt falls on the same side."""
    prompts = data.prompts()
    if len(prompts) < 2:
        raise DataError(f"{len(prompts)} prompt cannot be split into training and held-out; give more data.")
    order = numpy_generator(seed, "reward/heldout").permutation(len(prompts))
    count = min(len(prompts) - 1, max(1, round(share * len(prompts))))
    chosen = {prompts[place] for place in order[:count]}
    return data.of(set(prompts) - chosen), data.of(chosen)


def prepare(
    config: TokenRewardConfig, data: TokenData, encoder: InputEncoder
) -> tuple[list[TokenExample], dict[str, int]]:
    """Aligns, labels and encodes `data`; the counts say what was left out and why."""
    pairs, unpaired = pair_examples(data.edits, encoder, config)
    spans, unmarked = labels_of_spans(data.spans, config.categories)
    tags, untagged = labels_of_tags(data.tags)
    edits = labels_of_edits(data.edits) if config.label_edits else []
    labelled, unread = label_examples([*spans, *tags, *edits], encoder)
    counts = Counter[str]()
    for part in (unpaired, unmarked, untagged, unread):
        counts.update(part)
    return [*pairs, *labelled], {reason: count for reason, count in counts.items() if count}


def standardize(model: SpanRewardModel, responses: Sequence[EncodedResponse], *, batch_size: int, pad_id: int) -> None:
    """Sets mean and deviation of the model's one head to those of the tokens of `responses`."""
    (head,) = model.config.head_specs
    values: list[float] = []
    with torch.inference_mode():
        for group in in_batches(sorted(responses, key=lambda item: len(item.ids)), batch_size):
            values += model.score(collate(group, (head,), pad_id=pad_id).to(model.device)).float().cpu().tolist()
    mean, std = mean_and_deviation(np.array(values))
    model.config.set_heads([replace(head, mean=mean, std=std)])


def _reference(
    records: Sequence[FeedbackRecord], judge: Sequence[TokenExample], encoder: InputEncoder
) -> list[EncodedResponse]:
    if not records:
        return [example.responses[0] for example in judge]
    samples = [Sample(record.prompt, one.text, record.passages) for record in records for one in record.responses]
    return [item for item in encoder.encode(samples) if isinstance(item, EncodedResponse)]


def _question(item: EditPair | FeedbackRecord) -> str:
    return item.prompt or (item.original if isinstance(item, EditPair) else item.responses[0].text)


def _counted(left_out: Mapping[str, int]) -> str:
    return ", ".join(f"{reason} {count}" for reason, count in left_out.items()) or "there is none"
