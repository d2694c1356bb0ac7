"""The implicit reward of a tuned policy: how much likelier it finds each token than the policy it was tuned from.

A policy that DPO has tuned is a reward model of tokens: beta times the log-ratio of a whole answer is its reward up to
a number of the prompt (Rafailov et al. 2023), and the log-ratios of the tokens sum to it. RTO (Zhong et al. 2024) pays
them to PPO. Answers are read as the policies would write them and need not be theirs. Shapes: b responses, t tokens.
"""

from collections.abc import Sequence
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from spanwise.core import ConfigError
from spanwise.feedback import Density, Sample, SegmentScore, SegmentScores, Unscored
from spanwise.models import Policy, PromptBatch, Sampling, pad, weights_digest
from spanwise.rewards.signals.config import LogRatioConfig
from spanwise.text import Span


class LogRatioReward:
    """beta (log pi - log pi_ref) of each token, and of the closing one an empty span at the end of the answer.

    A truncated answer has no closing token. One beyond a policy's window is Unscored. ConfigError for policies with
    different tokenizers, whose tokens have no log-ratio.
    """

    def __init__(self, name: str, config: LogRatioConfig, policy: Policy, reference: Policy) -> None:
        if policy.tokenizer.get_vocab() != reference.tokenizer.get_vocab():
            raise ConfigError(
                f"sources.{name}: policy and ref_policy have different tokenizers; take the policy's own start."
            )
        reference.use_prompts(policy.form)
        self.name, self.category = name, config.category or name
        self.density: Density = "token"
        self._config, self._policy, self._reference = config, policy, reference

    @classmethod
    def load(cls, name: str, config: LogRatioConfig, *, device: str) -> "LogRatioReward":
        """The policies that the config names; CheckpointError where there is none."""
        policy, reference = (Policy.load(place, device=device) for place in (config.policy, config.ref_policy))
        return cls(name, config, policy, reference)

    @property
    def version(self) -> str:
        """Changes with any weight and with beta."""
        return self._version

    @cached_property
    def _version(self) -> str:
        digests = [weights_digest(one.model) for one in (self._policy, self._reference)]
        return f"log-ratio-{'-'.join(digests)}-{self._config.beta:g}"

    def score(self, samples: Sequence[Sample]) -> list[SegmentScores]:
        """A score for each token of each answer; answers of like length are read together."""
        read = [self._read(sample) for sample in samples]
        results = [SegmentScores(missing=item if isinstance(item, Unscored) else None) for item in read]
        whole = [(index, item) for index, item in enumerate(read) if isinstance(item, _Read)]
        whole.sort(key=lambda pair: len(pair[1].prompt) + len(pair[1].ids))
        for start in range(0, len(whole), self._config.batch_size):
            group = whole[start : start + self._config.batch_size]
            for (index, item), row in zip(group, self._log_ratios([item for _, item in group]), strict=True):
                values = (self._config.beta * row).tolist()
                spans = zip(item.spans, values, strict=False)  # rows are padded on the right
                results[index] = SegmentScores(tuple(SegmentScore(span, value) for span, value in spans))
        return results

    def _read(self, sample: Sample) -> "_Read | Unscored":
        text, policy = sample.response, self._policy
        lead = len(text) - len(text.lstrip())
        ids, offsets = policy.locate_response(text.strip())
        spans = [Span(start + lead, end + lead) for start, end in offsets]
        if not sample.truncated:
            ids, spans = [*ids, policy.eos_id], [*spans, Span(len(text), len(text))]
        prompt = policy.encode_prompt(sample)
        room = min((one.window for one in (policy, self._reference) if one.window is not None), default=None)
        need = max(len(prompt), len(ids)) if policy.is_encoder_decoder else len(prompt) + len(ids)
        if room is not None and need > room:
            return Unscored(f"prompt and response have {need} tokens, the policies read {room}")
        return _Read(prompt, ids, spans)

    @torch.inference_mode()
    def _log_ratios(self, group: Sequence["_Read"]) -> Float[Tensor, "b t"]:
        rows = [item.ids for item in group]
        ids, mask = pad(rows, value=self._policy.pad_id, side="right")
        prompts = self._policy.stack_prompts([item.prompt for item in group])

        def logprobs(policy: Policy) -> Tensor:
            moved = PromptBatch(prompts.ids, prompts.mask).to(policy.device)
            there = ids.to(policy.device), mask.to(policy.device)
            return policy.logprobs(moved, *there, sampling=Sampling()).logprobs.float().cpu()

        return logprobs(self._policy) - logprobs(self._reference)


class _Read:
    """A prompt and an answer in ids, and the characters of the answer that each id wrote."""

    def __init__(self, prompt: list[int], ids: list[int], spans: list[Span]) -> None:
        self.prompt, self.ids, self.spans = prompt, ids, spans
