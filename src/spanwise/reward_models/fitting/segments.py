"""The objective of reward models that score segments and whole answers: all heads over one backbone at once.

Labels by the rules of the config, a fit by gradient or, with linear heads, exactly (`linear_segments.py`), and
calibration on questions apart from those that were learnt.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
import yaml
from jaxtyping import Float
from rich.progress import Progress
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from spanwise.core import DataError, RunFolder, resolve_device, torch_generator
from spanwise.feedback import Density, FeedbackRecord, Sample
from spanwise.reward_models.config import PAIR_HEADS, RewardModelConfig, SpanRule
from spanwise.reward_models.data import (
    SHORT_SPANS,
    Example,
    InputEncoder,
    TrainingBatch,
    label_records,
    load_phrase_model,
    make_batch,
    make_examples,
    threshold_of,
    unused_categories,
)
from spanwise.reward_models.fitting.calibration import fit_platt, mean_and_deviation
from spanwise.reward_models.fitting.evaluate import (
    HeadOutputs,
    HeadQuality,
    collect_outputs,
    evaluate_outputs,
    judge_heads,
    selection_score,
)
from spanwise.reward_models.fitting.gradient import GradientFit, Terms
from spanwise.reward_models.fitting.linear_segments import fit_linear
from spanwise.reward_models.fitting.train import Backbone, Fitting, RewardModelRun, held_out, train
from spanwise.reward_models.heads import HeadSpec
from spanwise.reward_models.network import (
    SpanRewardModel,
    build_reward_model,
    encoder_of,
    pad_id_of,
    pair_loss,
    segment_loss,
)
from spanwise.training import bucketed


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

    Linear heads need no held-out records: without any, they are calibrated and measured by cross-validation. The rest
    as for `train`; raises DataError where a head has nothing to learn from.
    """
    config = with_threshold(config.model_copy(update={"device": resolve_device(config.device)}), records)
    return train(
        config, records, SegmentObjective(config),
        heldout=heldout or None, backbone=backbone, folder=folder, progress=progress,
    )  # fmt: skip


def with_threshold(config: RewardModelConfig, records: Sequence[FeedbackRecord]) -> RewardModelConfig:
    """The config with the threshold of its phrases, measured on the responses of `records` where none is given."""
    asked = config.phrases
    if config.pool != "phrase" or asked is None or asked.threshold is not None:
        return config
    samples = [Sample.of(record, response.text) for record in records for response in record.responses]
    threshold = threshold_of(load_phrase_model(asked.model), samples, asked.mean_tokens)
    return config.model_copy(update={"phrases": asked.model_copy(update={"threshold": threshold})})


def evaluate_reward_model(
    config: RewardModelConfig,
    model: SpanRewardModel,
    tokenizer: PreTrainedTokenizerBase,
    records: Sequence[FeedbackRecord],
) -> tuple[dict[str, HeadQuality], dict[str, int]]:
    """Quality by head of a trained model on other records, and what they left out."""
    names = [head.name for head in model.config.head_specs]
    asked = config.model_copy(update={"heads": tuple(names)})
    examples, left_out = segment_examples(asked, records, encoder_of(model, tokenizer))
    outputs = collect_outputs(model, examples, batch_size=config.fitting.batch_size, pad_id=pad_id_of(tokenizer))
    return judge_heads(outputs, model.config.head_specs), left_out


class SegmentObjective:
    """Heads of segments and pairs; the data is feedback records."""

    def __init__(self, config: RewardModelConfig) -> None:
        self.config = config
        self.needs_heldout = config.fitting.method == "gradient"

    def build(self, body: PreTrainedModel, *, window: int) -> SpanRewardModel:
        """Segment heads of each rule's density, and sequence heads for pairs."""
        config = self.config
        return build_reward_model(
            body,
            head_specs(config),
            pooling=config.pooling,
            use_passages=config.use_passages,
            features=config.features,
            likelihoods=config.likelihoods,
            window=window,
            phrases=config.phrases.model_dump() if config.phrases and config.pool == "phrase" else None,
            generator=torch_generator(config.seed, "reward/heads"),
        )

    def split(self, data: Sequence[FeedbackRecord]) -> tuple[list[FeedbackRecord], list[FeedbackRecord]]:
        """By question."""
        return split_by_question(data, share=self.config.heldout_share, seed=self.config.seed)

    def examples(self, data: Sequence[FeedbackRecord], encoder: InputEncoder) -> tuple[list[Example], dict[str, int]]:
        """One of each record with a label."""
        return segment_examples(self.config, data, encoder)

    def check(self, examples: Sequence[Example], left_out: Mapping[str, int], *, label: str) -> None:
        """Every head needs a label; to be taught, a segment head needs two that differ."""
        for name in self.config.heads:
            if not any(example.labels.segments.get(name) or example.labels.pairs.get(name) for example in examples):
                raise DataError(
                    f"The {label} records have no label for the head {name!r}; take it out of heads, give it other "
                    "data or check its categories."
                )
        for name, rule in self.config.span_rules.items() if label == "training" else ():
            values = _labels_of(name, examples)
            if len(values) == 1:
                raise DataError(_one_class(name, rule, left_out, right=values == {1.0}, custom=self.config.custom))

    def fit(self, fitting: Fitting[Example]) -> dict[str, HeadQuality]:
        """Linear heads are calibrated on what was said out of fold where nothing is held out."""
        model, size = fitting.model, self.config.fitting.batch_size
        outputs: dict[str, HeadOutputs] = {}
        if self.config.fitting.method == "linear":
            outputs = fit_linear(self.config, model, fitting.train, fitting.pad_id, fitting.folder)
        else:
            standardize_features(model, fitting.train)
            SegmentFit(self.config, model, fitting.pad_id, fitting.train, fitting.judge).run(
                fitting.folder, fitting.progress
            )
        if fitting.judge:
            outputs = collect_outputs(model, fitting.judge, batch_size=size, pad_id=fitting.pad_id)
        elif any(head.kind == "pooled" for head in model.config.head_specs):
            # Out of fold there are scores of answers alone; those of segments, whose spread counts, are of the fit.
            fitted = collect_outputs(model, fitting.train, batch_size=size, pad_id=fitting.pad_id)
            outputs = {name: replace(said, scores=fitted[name].scores) for name, said in outputs.items()}
        model.config.set_heads([_calibrated(head, outputs[head.name]) for head in model.config.head_specs])
        return judge_heads(outputs, model.config.head_specs)


class SegmentFit(GradientFit[Example]):
    """All heads by gradient: one forward pass per batch of records, one loss per head."""

    title = "reward model"

    def __init__(
        self, settings: RewardModelConfig, model: SpanRewardModel, pad_id: int, train: Sequence[Example],
        judge: Sequence[Example],
    ) -> None:  # fmt: skip
        super().__init__(settings, model, pad_id, train, judge)
        self.settings = settings
        self.order_offset = nn.Parameter(torch.zeros((), device=model.device))

    def more_parameters(self) -> dict[str, nn.Parameter]:
        """The offset of the order learns where the config asks for it."""
        return {"order_offset": self.order_offset} if self.settings.position_offset else {}

    def epoch(self) -> list[list[Example]]:
        """Batches in random order, of similar length within."""
        return bucketed(self.train, self.config.batch_size, self.shuffle, length=lambda example: example.length)

    def batch_loss(self, batch: Sequence[Example]) -> Terms:
        """The weighted sum of the heads' losses, and each of them to log."""
        losses = self.losses(self._batch(batch))
        weights = self.settings.loss_weights
        total = torch.stack([weights.get(name, 1.0) * loss for name, loss in losses.items()]).sum()
        return total, {**{f"loss_{name}": loss for name, loss in losses.items()}, "order_offset": self.order_offset}

    def measure(self) -> tuple[float, dict[str, float]]:
        """Selection score and held-out metrics of every head."""
        outputs = collect_outputs(self.model, self.judge, batch_size=self.config.batch_size, pad_id=self.pad_id)
        metrics = evaluate_outputs(outputs, self.model.config.head_specs)
        flat = {f"{head}/{name}": value for head, values in metrics.items() for name, value in values.items()}
        return selection_score(metrics), flat

    def losses(self, batch: TrainingBatch) -> dict[str, Float[Tensor, ""]]:
        """The loss of each head on one batch."""
        device = self.model.device
        logits = self.model.score(batch.inputs.to(device))
        correct, known = batch.correct.to(device), batch.label_mask.to(device)
        losses: dict[str, Float[Tensor, ""]] = {}
        for number, head in enumerate(self.model.config.head_specs):
            if head.kind == "segment":
                mine = (batch.inputs.pieces[:, 1] == number).to(device)
                losses[head.name] = segment_loss(logits[mine], correct[mine], known[mine])
            else:
                pairs = batch.pairs[head.name]
                offset = self.order_offset * pairs.order.to(device)
                scores = pairs.means(logits)
                losses[head.name] = pair_loss(
                    scores[pairs.better], scores[pairs.worse], offset, pairs.confidence.to(device)
                )
        return losses

    def _batch(self, group: Sequence[Example]) -> TrainingBatch:
        config = self.model.config
        return make_batch(group, config.head_specs, pad_id=self.pad_id, pack_to=self.model.pack_to)


def split_by_question(
    records: Sequence[FeedbackRecord], *, share: float, seed: int
) -> tuple[list[FeedbackRecord], list[FeedbackRecord]]:
    """(training, held-out) records; all records of one prompt fall on the same side."""
    chosen = held_out(sorted({record.question for record in records}), share=share, seed=seed, unit="question")
    return [r for r in records if r.question not in chosen], [r for r in records if r.question in chosen]


def head_specs(config: RewardModelConfig) -> tuple[HeadSpec, ...]:
    """The heads that the config asks for, not yet calibrated."""
    rules = config.span_rules
    return tuple(
        pair_head(name, config.pool if name == "preference" else "sequence")
        if name in PAIR_HEADS
        else HeadSpec(name, rules[name].density, "segment")
        for name in config.heads
    )


def pair_head(name: str, density: Density) -> HeadSpec:
    """A head that learns from pairs of responses: of a whole one, or of its segments, whose mean it is."""
    return HeadSpec(name, density, "sequence" if density == "sequence" else "pooled")


def segment_examples(
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


def standardize_features(model: SpanRewardModel, examples: Sequence[Example]) -> None:
    """Takes mean and spread of the counted features, where the model reads any, from the responses of `examples`."""
    if model.feature_heads is None:
        return
    for number, head in enumerate(model.config.head_specs):
        rows = [response.features[head.density] for example in examples for response in example.responses.values()]
        model.feature_heads.standardize(number, torch.from_numpy(np.concatenate(rows)))


def _labels_of(head: str, examples: Sequence[Example]) -> set[float]:
    """The different labels that segments have, of answers that the model reads."""
    return {
        segment.correct
        for example in examples
        for position, segments in example.labels.segments.get(head, {}).items()
        if position in example.responses
        for segment in segments
        if segment.correct is not None
    }


def _one_class(head: str, rule: SpanRule, left_out: Mapping[str, int], *, right: bool, custom: Collection[str]) -> str:
    """Which class the labels of a head lack, and the line of the config that would use what the data marks."""
    unused, short = unused_categories(left_out), left_out.get(f"{head}/{SHORT_SPANS}", 0)
    what = f"The training records teach the head {head!r} nothing: no segment is {'wrong' if right else 'right'}"
    if not right:
        return f"{what}; give it marked answers without an error as well."
    what += f" by its categories {', '.join(rule.categories) or '(none)'}"
    if short:
        what += f", of which {short} marks are shorter than min_span_words={rule.min_span_words}"
    if not unused:
        return f"{what}; give it other data, or take it out of heads."
    line = yaml.safe_dump(
        {head: {"categories": [*rule.categories, *unused]}}, default_flow_style=True, allow_unicode=True, width=10**6
    ).strip()[1:-1]
    marked = ", ".join(f"{category} ({number})" for category, number in unused.items())
    line = f"custom: {{{line}}}" if head in custom else line
    return f"{what}, but they mark {marked}, which no head uses; to use them, write `{line}` into the config."


def _calibrated(head: HeadSpec, outputs: HeadOutputs) -> HeadSpec:
    if head.kind == "segment":
        slope, offset = fit_platt(outputs.logits, outputs.correct)
        return replace(head, slope=slope, offset=offset)
    mean, std = mean_and_deviation(outputs.scores)
    return replace(head, mean=mean, std=std)
