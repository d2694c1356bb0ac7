"""Cuts responses into phrases by the entropy of a frozen language model, the same way in training and in serving."""

from collections.abc import Sequence
from functools import lru_cache

import torch

from spanwise.feedback import Sample, Unscored
from spanwise.models import Policy, Sampling, pad
from spanwise.text import Span, cut_phrases, phrase_threshold

BATCH_SIZE = 16
Entropies = tuple[list[Span], list[float]]
"""Of a response the characters of each token, and the entropy in nats of what follows it."""


class PhraseCutter:
    """Phrases of responses as `model`, usually the start policy, would go on with them."""

    def __init__(self, model: Policy, threshold: float) -> None:
        self.model, self.threshold = model, threshold

    def cut(self, samples: Sequence[Sample]) -> list[tuple[Span, ...] | Unscored]:
        """The phrases of each response, which partition it; Unscored for one beyond the model's window."""
        return [
            item if isinstance(item, Unscored) else cut_phrases(sample.response, *item, self.threshold)
            for sample, item in zip(samples, entropies_of(self.model, samples), strict=True)
        ]


@lru_cache(maxsize=2)
def load_phrase_model(name: str) -> Policy:
    """The language model at a folder or Hub name, which several reward models may share."""
    return Policy.load(name)


def threshold_of(model: Policy, samples: Sequence[Sample], mean_tokens: float) -> float:
    """The threshold that gives phrases of `mean_tokens` tokens on average; errors as in `phrase_threshold`."""
    read = entropies_of(model, samples)
    return phrase_threshold([item[1] for item in read if not isinstance(item, Unscored)], mean_tokens)


def entropies_of(model: Policy, samples: Sequence[Sample]) -> list[Entropies | Unscored]:
    """Of each response its tokens' characters and entropies; responses of like length are read together."""
    items = [_Item(model, sample) for sample in samples]
    fitting = sorted((index for index, item in enumerate(items) if item.fits), key=lambda index: items[index].length)
    results: list[Entropies | Unscored] = [Unscored(item.reason) for item in items]
    for start in range(0, len(fitting), BATCH_SIZE):
        group = fitting[start : start + BATCH_SIZE]
        for index, row in zip(group, _read(model, [items[index] for index in group]), strict=True):
            spans = items[index].spans
            results[index] = spans, row[1 : len(spans) + 1]  # what follows token j is token j + 1
    return results


class _Item:
    def __init__(self, model: Policy, sample: Sample) -> None:
        lead = len(sample.response) - len(sample.response.lstrip())
        ids, offsets = model.locate_response(sample.response.strip())
        self.prompt, self.ids = model.encode_prompt(sample), [*ids, model.eos_id]
        self.spans = [Span(left + lead, right + lead) for left, right in offsets]
        self.length = len(self.prompt) + len(self.ids)
        self.fits = model.window is None or model.is_encoder_decoder or self.length <= model.window
        self.reason = f"prompt and response have {self.length} tokens, the model that cuts phrases reads {model.window}"


@torch.inference_mode()
def _read(model: Policy, items: Sequence[_Item]) -> list[list[float]]:
    rows = pad([item.ids for item in items], value=model.pad_id, side="right")
    ids, mask = (part.to(model.device) for part in rows)
    prompts = model.stack_prompts([item.prompt for item in items])
    entropy = model.logprobs(prompts, ids, mask, sampling=Sampling(), entropy=True).entropy
    assert entropy is not None, "it was asked for"
    return entropy.float().cpu().tolist()
