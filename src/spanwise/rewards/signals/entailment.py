"""Whether the passages entail each part of an answer, by any sequence classifier trained on NLI.

The premise of a part is the passage that entails it most, as in SummaC (Laban et al. 2022): a claim needs one source. A
passage beyond the window is read in runs of whole sentences. Shapes: n pairs, c labels.
"""

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import AutoModelForSequenceClassification, PreTrainedModel, PreTrainedTokenizerBase

from spanwise.core import CheckpointError, ConfigError, resolve_device
from spanwise.feedback import Density, Passage, Sample, SegmentScore, SegmentScores, Unscored
from spanwise.models import check_downloaded, load_tokenizer, weights_digest
from spanwise.reward_models.network import window_of
from spanwise.rewards.signals.config import EntailmentConfig
from spanwise.text import Span, get_segmenter

Pair = tuple[str, str]
"""Premise and hypothesis."""


class EntailmentReward:
    """2 P(entailed) - 1 of each part, by the premise that entails it most.

    An answer without passages, and a part that does not fit beside a single sentence, are Unscored.
    """

    def __init__(
        self, name: str, config: EntailmentConfig, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
    ) -> None:
        self.name, self.category = name, config.category or name
        self.density: Density = config.density
        self._config, self._model, self._tokenizer = config, model.eval(), tokenizer
        self._label = _entailment(model, config.label, f"sources.{name}.label")
        self._window = window_of(model, tokenizer)

    @classmethod
    def load(cls, name: str, config: EntailmentConfig, *, device: str) -> "EntailmentReward":
        """The classifier that the config names; CheckpointError where there is none."""
        check_downloaded(config.model)
        try:
            model = AutoModelForSequenceClassification.from_pretrained(config.model, dtype=torch.float32)
        except Exception as error:  # whatever a damaged folder makes of transformers
            reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
            raise CheckpointError(
                f"sources.{name}: no classifier can be read at {config.model} ({reason}); check the place."
            ) from error
        moved = cast("nn.Module", model).to(resolve_device(device))
        return cls(name, config, cast("PreTrainedModel", moved), load_tokenizer(config.model))

    @property
    def version(self) -> str:
        """Changes with any weight, the label and the parts."""
        return self._version

    @cached_property
    def _version(self) -> str:
        return f"entailment-{weights_digest(self._model)}-{self._label}-{self._config.density}"

    def score(self, samples: Sequence[Sample]) -> list[SegmentScores]:
        """A score for each part; equal pairs of passage and part are read once."""
        parts = [self._parts(sample) for sample in samples]
        pairs = [
            [list(self._pairs(sample.passages, span.of(sample.response).strip())) for span in spans]
            for sample, spans in zip(samples, parts, strict=True)
        ]
        known = self._probabilities(list(dict.fromkeys(pair for row in pairs for part in row for pair in part)))
        return [
            _scores(sample, spans, [[known[pair] for pair in part] for part in row])
            for sample, spans, row in zip(samples, parts, pairs, strict=True)
        ]

    def _parts(self, sample: Sample) -> tuple[Span, ...]:
        return get_segmenter(self._config.density)(sample.response) if sample.response.strip() else ()

    def _pairs(self, passages: Sequence[Passage], claim: str) -> Iterator[Pair]:
        """The part beside each passage, or runs of its sentences that fit; a sentence too long is passed over."""
        for passage in passages:
            run: list[str] = []
            for sentence in passage.sentences:
                if run and not self._fits(" ".join([*run, sentence]), claim):
                    yield " ".join(run), claim
                    run = []
                if run or self._fits(sentence, claim):
                    run.append(sentence)
            if run:
                yield " ".join(run), claim

    def _fits(self, premise: str, claim: str) -> bool:
        tokenizer: Any = self._tokenizer
        return len(tokenizer(premise, claim, verbose=False)["input_ids"]) <= self._window

    def _probabilities(self, pairs: Sequence[Pair]) -> dict[Pair, float]:
        ordered = sorted(pairs, key=lambda pair: len(pair[0]) + len(pair[1]))
        known: dict[Pair, float] = {}
        for start in range(0, len(ordered), self._config.batch_size):
            group = ordered[start : start + self._config.batch_size]
            known |= zip(group, self._forward(group), strict=True)
        return known

    @torch.inference_mode()
    def _forward(self, pairs: Sequence[Pair]) -> list[float]:
        tokenizer: Any = self._tokenizer
        batch = tokenizer([a for a, _ in pairs], [b for _, b in pairs], padding=True, return_tensors="pt")
        inputs: dict[str, Tensor] = {name: value.to(self._model.device) for name, value in batch.items()}
        logits: Tensor = self._model(**inputs).logits
        return logits.float().softmax(-1)[:, self._label].double().cpu().tolist()


def _scores(sample: Sample, spans: Sequence[Span], by_part: Sequence[Sequence[float]]) -> SegmentScores:
    if spans and not sample.passages:
        return SegmentScores(missing=Unscored("there is no passage that could entail it"))
    missing = Unscored("it does not fit into the window beside any sentence of the passages")
    return SegmentScores(tuple(
        SegmentScore(span, 2.0 * max(values) - 1.0 if values else missing)
        for span, values in zip(spans, by_part, strict=True)
    ))  # fmt: skip


def _entailment(model: PreTrainedModel, label: str, place: str) -> int:
    names = {str(name): int(number) for number, name in (model.config.id2label or {}).items()}
    chosen = [name for name in names if name == label or (not label and name.lower().startswith("entail"))]
    if len(chosen) != 1:
        asked = f"no label {label!r}" if label else "no one label that begins with entail"
        raise ConfigError(f"{place}: the model has {asked}; it has {', '.join(names)}.")
    return names[chosen[0]]
