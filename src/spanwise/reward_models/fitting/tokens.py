"""The objective of reward models with one reward per token, from edits, marked spans and word tags.

Aligned pairs and labelled tokens, a fit by gradient or exactly (`linear_tokens.py`), and rewards standardised on
reference responses. The checkpoint is that of any reward model, with one head of density "token".
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from rich.progress import Progress
from torch import Tensor
from transformers import PreTrainedModel

from spanwise.core import DataError, RunFolder, resolve_device, torch_generator
from spanwise.feedback import EditPair, FeedbackRecord, Sample
from spanwise.reward_models.config import TokenRewardConfig
from spanwise.reward_models.data import (
    EncodedResponse,
    InputEncoder,
    LabelExample,
    SideTargets,
    TokenBatch,
    TokenExample,
    by_length,
    collate,
    label_examples,
    labels_of_edits,
    labels_of_spans,
    labels_of_tags,
    pair_examples,
    token_batch,
)
from spanwise.reward_models.fitting.calibration import mean_and_deviation
from spanwise.reward_models.fitting.evaluate import HeadQuality, collect_rewards, token_metrics, token_selection_score
from spanwise.reward_models.fitting.gradient import GradientFit, Terms
from spanwise.reward_models.fitting.linear_tokens import fit_token_head
from spanwise.reward_models.fitting.train import Backbone, Fitting, RewardModelRun, held_out, train
from spanwise.reward_models.heads import HeadSpec
from spanwise.reward_models.network import (
    SpanRewardModel,
    TokenSide,
    build_reward_model,
    segment_loss,
    token_pair_loss,
    unchanged_share,
)
from spanwise.training import shuffled


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


def train_token_model(
    config: TokenRewardConfig,
    data: TokenData,
    *,
    heldout: TokenData | None = None,
    reference: Sequence[FeedbackRecord] = (),
    backbone: Backbone | None = None,
    folder: RunFolder | None = None,
    progress: Progress | None = None,
) -> RewardModelRun:
    """Trains on `data` and chooses the best epoch on `heldout` (else on a share of the prompts).

    The rewards of `reference` responses (else of the held-out originals) get mean 0 and deviation 1. The rest as for
    `train`; the one head has the name that the config gives.
    """
    config = config.model_copy(update={"device": resolve_device(config.device)})
    return train(
        config, data, TokenObjective(config, reference),
        heldout=heldout, backbone=backbone, folder=folder, progress=progress,
    )  # fmt: skip


class TokenObjective:
    """One reward per token; `reference` responses get rewards of mean 0 and deviation 1."""

    needs_heldout = True

    def __init__(self, config: TokenRewardConfig, reference: Sequence[FeedbackRecord] = ()) -> None:
        self.config, self.reference = config, reference

    def build(self, body: PreTrainedModel, *, window: int) -> SpanRewardModel:
        """One head of density "token"."""
        config = self.config
        return build_reward_model(
            body,
            (HeadSpec(config.name, "token", "token"),),
            use_passages=config.use_passages,
            likelihoods=config.likelihoods,
            window=window,
            generator=torch_generator(config.seed, "reward/heads"),
        )

    def split(self, data: TokenData) -> tuple[TokenData, TokenData]:
        """By prompt."""
        return split_by_prompt(data, share=self.config.heldout_share, seed=self.config.seed)

    def examples(self, data: TokenData, encoder: InputEncoder) -> tuple[list[TokenExample], dict[str, int]]:
        """Pairs, then labelled responses."""
        return token_examples(self.config, data, encoder)

    def check(self, examples: Sequence[TokenExample], left_out: Mapping[str, int], *, label: str) -> None:
        """One example at least."""
        if not examples:
            counts = ", ".join(f"{reason} {count}" for reason, count in left_out.items()) or "there is none"
            raise DataError(f"The {label} data has no edit and no labelled token to learn from: {counts}.")
        known = [example.correct for example in examples if isinstance(example, LabelExample)]
        labels = {value for values in known for value in values if value is not None}
        if label == "training" and len(known) == len(examples) and len(labels) == 1:
            lacking = "wrong" if labels == {1.0} else "right"
            raise DataError(
                f"The training data teaches nothing: no token is {lacking}; check categories, or give edit pairs."
            )

    def fit(self, fitting: Fitting[TokenExample]) -> dict[str, HeadQuality]:
        """Exactly, by gradient, or with likelihoods by gradient from the exact fit on."""
        config, model, pad_id = self.config, fitting.model, fitting.pad_id
        if config.fitting.method == "linear" or config.likelihoods:
            fit_token_head(config, model, fitting.train, fitting.judge, pad_id=pad_id, folder=fitting.folder)
        if config.fitting.method == "gradient":
            TokenFit(config, model, pad_id, fitting.train, fitting.judge).run(fitting.folder, fitting.progress)
        size = config.fitting.batch_size
        metrics = token_metrics(collect_rewards(model, fitting.judge, batch_size=size, pad_id=pad_id))
        responses = _reference(self.reference, fitting.judge, fitting.encoder)
        standardize(model, responses, batch_size=size, pad_id=pad_id)
        return {config.name: HeadQuality("token", metrics, [])}


class TokenFit(GradientFit[TokenExample]):
    """By gradient: pairs and labelled tokens in one batch."""

    title = "token rewards"

    def __init__(
        self, settings: TokenRewardConfig, model: SpanRewardModel, pad_id: int, train: Sequence[TokenExample],
        judge: Sequence[TokenExample],
    ) -> None:  # fmt: skip
        super().__init__(settings, model, pad_id, train, judge)
        self.settings = settings

    def epoch(self) -> list[list[TokenExample]]:
        """Batches in random order."""
        return shuffled(self.train, self.config.batch_size, self.shuffle)

    def batch_loss(self, batch: Sequence[TokenExample]) -> Terms:
        """The loss of examples not yet put into a batch, and what to log of it."""
        (head,) = self.model.config.head_specs
        return self.losses(token_batch(batch, head, pad_id=self.pad_id, pack_to=self.model.pack_to))

    def measure(self) -> tuple[float, dict[str, float]]:
        """Selection score and held-out metrics."""
        outputs = collect_rewards(self.model, self.judge, batch_size=self.config.batch_size, pad_id=self.pad_id)
        metrics = token_metrics(outputs)
        return token_selection_score(metrics), metrics

    def losses(self, batch: TokenBatch) -> Terms:
        """The loss of one batch and what to log of it."""
        rewards = self.model.score(batch.inputs.to(self.model.device))
        original, edited = self._side(rewards, batch.original), self._side(rewards, batch.edited)
        terms = token_pair_loss(original, edited, batch.unchanged.to(rewards.device), self.settings.loss)
        known = torch.ones_like(batch.labelled, dtype=torch.bool, device=rewards.device)
        labels = segment_loss(rewards[batch.labelled.to(rewards.device)], batch.correct.to(rewards.device), known)
        total = terms.loss + self.settings.label_weight * labels
        values = {"loss_pairs": terms.loss}
        if len(batch.labelled):
            values["loss_labels"] = labels
        if len(terms.difference):
            values["consistency"] = terms.consistency
            values["neutral"] = terms.neutral
            values["unchanged_share"] = unchanged_share(original, edited).mean()
        return total, values

    def _side(self, rewards: Float[Tensor, " n"], side: SideTargets) -> TokenSide:
        device = rewards.device
        return TokenSide(rewards[side.places.to(device)], side.response_mask.to(device), side.changed.to(device))


def split_by_prompt(data: TokenData, *, share: float, seed: int) -> tuple[TokenData, TokenData]:
    """(training, held-out) data; all that belongs to one prompt falls on the same side."""
    prompts = data.prompts()
    chosen = held_out(prompts, share=share, seed=seed, unit="prompt")
    return data.of(set(prompts) - chosen), data.of(chosen)


def token_examples(
    config: TokenRewardConfig, data: TokenData, encoder: InputEncoder
) -> tuple[list[TokenExample], dict[str, int]]:
    """Aligns, labels and encodes `data`; the counts say what was left out and why."""
    pairs, unpaired = pair_examples(data.edits, encoder, config)
    spans, unmarked = labels_of_spans(data.spans, config)
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
        for group in by_length(responses, batch_size=batch_size):
            values += model.score(collate(group, (head,), pad_id=pad_id).to(model.device)).float().cpu().tolist()
    mean, std = mean_and_deviation(np.array(values))
    model.config.set_heads([replace(head, mean=mean, std=std)])


def _reference(
    records: Sequence[FeedbackRecord], judge: Sequence[TokenExample], encoder: InputEncoder
) -> list[EncodedResponse]:
    if not records:
        return [example.responses[0] for example in judge]
    samples = [Sample.of(record, response.text) for record in records for response in record.responses]
    return [item for item in encoder.encode(samples) if isinstance(item, EncodedResponse)]


def _question(item: EditPair | FeedbackRecord) -> str:
    return item.question or (item.original if isinstance(item, EditPair) else item.responses[0].text)
