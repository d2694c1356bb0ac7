"""From prompts to scored responses: choose the step's prompts, sample, decode, align, score.

Texts and the place of every token in them come from the sampled ids, so that a segment's reward lands on the token
that ended it. Several processes sample a part of the prompts each; `moved` and `joined` make one rollout of the parts.
Knows nothing of references, values or updates.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Literal, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from spanwise.core import numpy_generator
from spanwise.feedback import PromptRecord
from spanwise.models import Policy, PromptBatch, ResponseBatch, Sampling, gathered, join_prompts, join_responses
from spanwise.rewards import RewardPipeline, TokenScores, read_ids
from spanwise.rl.algorithms import Rollout
from spanwise.rl.runtime import Budget, Clock, Sampler
from spanwise.text import Span, TokenAligner, TokenSpans
from spanwise.training import Processes

T = TypeVar("T")


TokenSpansOf = Callable[[str, Sequence[int]], Sequence[Span]]
"""Given a response's text and its sampled ids, which characters of the text each of the ids is paid for."""


class RolloutMaker:
    """Samples responses from a policy and has them scored. `clock` learns where the time goes.

    `budget` bounds how many responses are under way at once. `sampler` samples in the policy's stead. `token_spans`
    says which characters a token is paid for; without it, those that the token wrote. `values` says what the policy's
    states are worth while it samples.
    """

    def __init__(
        self,
        policy: Policy,
        pipeline: RewardPipeline,
        *,
        max_prompt_tokens: int,
        token_spans: TokenSpansOf | None = None,
        clock: Clock | None = None,
        budget: Budget | None = None,
        sampler: Sampler | None = None,
        values: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        self.policy = policy
        self._sampler = sampler
        self._values = values
        self.pipeline = pipeline
        self.clock = clock or Clock()
        self._budget = budget
        self._max_prompt_tokens = max_prompt_tokens
        self._token_spans = token_spans
        self._aligner = TokenAligner(policy.tokenizer)

    def sample(
        self,
        records: Sequence[PromptRecord],
        *,
        sampling: Sampling,
        samples_per_prompt: int,
        generator: torch.Generator,
        step: int = 0,
    ) -> Rollout:
        """Several sampled responses per prompt, those of one prompt next to each other, scored as of `step`.

        Several processes answer a part of the prompts each, from a generator of their own, and have the whole then.
        """
        records, together = self._shared(records)
        if self._sampler is not None:
            with self.clock("rollout"):
                self._sampler.follow()
        with gathered(self.policy.backbone):
            rollout = self._sampled(records, sampling, samples_per_prompt, generator, step)
        return together(rollout)

    def _sampled(
        self, records: Sequence[PromptRecord], sampling: Sampling, samples_per_prompt: int, generator: torch.Generator,
        step: int,
    ) -> Rollout:  # fmt: skip
        with self.clock("rollout"):
            prompts = self._encode(records)
            start = generator.get_state()
            generate = self._generator()

            def answer(part: PromptBatch) -> ResponseBatch:
                return generate(part, sampling=sampling, samples_per_prompt=samples_per_prompt, generator=generator)

            responses = self._answered(prompts, answer, samples_per_prompt, again=lambda: generator.set_state(start))
        repeated = [record for record in records for _ in range(samples_per_prompt)]
        return self._scored(repeated, prompts.repeat(samples_per_prompt), responses, step)

    def _generator(self) -> Callable[..., ResponseBatch]:
        if self._sampler is not None:
            return self._sampler.generate
        generate = self.policy.generate
        return generate if self._values is None else functools.partial(generate, values=self._values)

    def greedy(
        self, records: Sequence[PromptRecord], *, max_new_tokens: int, min_new_tokens: int = 0, step: int = 0
    ) -> Rollout:
        """The likeliest response to each prompt, scored as of `step`."""
        records, together = self._shared(records)
        with gathered(self.policy.backbone):
            with self.clock("rollout"):
                prompts = self._encode(records)
                responses = self._answered(
                    prompts, lambda part: self.policy.greedy(part, max_new_tokens, min_new_tokens), 1
                )
            rollout = self._scored(records, prompts, responses, step)
        return together(rollout)

    def _shared(self, records: Sequence[PromptRecord]) -> tuple[Sequence[PromptRecord], Callable[[Rollout], Rollout]]:
        """This process's part of `records`, and what makes one rollout of the parts; too few are not parted."""
        processes = Processes() if self._budget is None else self._budget.processes
        if processes.count == 1 or len(records) < processes.count:
            return records, lambda rollout: rollout

        def together(part: Rollout) -> Rollout:
            parts = processes.gather(moved(part, "cpu"))
            side = "right" if self.policy.is_encoder_decoder else "left"
            return moved(joined(parts, pad_id=self.policy.pad_id, prompt_side=side), self.policy.device)

        return processes.share(records), together

    def _answered(
        self,
        prompts: PromptBatch,
        answer: Callable[[PromptBatch], ResponseBatch],
        samples: int,
        *,
        again: Callable[[], object] = lambda: None,
    ) -> ResponseBatch:
        """The responses to all prompts, in as many goes as the budget asks for; `again` undoes what a go has drawn."""
        budget = self._budget
        if budget is None:
            return answer(prompts)

        def all_prompts() -> ResponseBatch:
            again()
            size = max(1, budget.rows // samples)
            if size >= len(prompts):
                return answer(prompts)
            goes = torch.arange(len(prompts), device=prompts.ids.device).split(size)
            return join_responses([answer(prompts.select(rows)) for rows in goes], pad_id=self.policy.pad_id)

        return budget.spend(all_prompts)

    def _encode(self, records: Sequence[PromptRecord]) -> PromptBatch:
        return self.policy.encode_prompts(records, self._max_prompt_tokens)

    def _scored(
        self, records: Sequence[PromptRecord], prompts: PromptBatch, responses: ResponseBatch, step: int
    ) -> Rollout:
        with self.clock("text"):
            ids = responses.token_lists()
            samples, alignments = read_ids(self._aligner, ids, records, responses.truncated.tolist())
            tokens = [self._token_texts(row, a.text, a.spans) for row, a in zip(ids, alignments, strict=True)]
            spans = [
                a.spans if self._token_spans is None else self._token_spans(a.text, row)
                for row, a in zip(ids, alignments, strict=True)
            ]
        with self.clock("score"):
            scores = self.pipeline(samples, spans, step=step)
        return Rollout(prompts, responses, samples, tokens, scores)

    def _token_texts(self, ids: list[int], text: str, spans: TokenSpans) -> list[str]:
        return [text[start:end] or self._name(id_) for (start, end), id_ in zip(spans.pairs(), ids, strict=True)]

    def _name(self, id_: int) -> str:
        """What a token that wrote nothing is called: a special token by its name, a stripped blank not at all."""
        return str(self.policy.tokenizer.decode([id_], clean_up_tokenization_spaces=False)).strip()


def prompts_of_step(prompts: Sequence[T], *, step: int, count: int, seed: int) -> list[T]:
    """The `count` prompts of training step `step`, counted from 0; passes follow one another without a gap."""
    chosen: list[T] = []
    position = step * count
    while len(chosen) < count:
        passes, offset = divmod(position + len(chosen), len(prompts))
        order = numpy_generator(seed, f"prompts/{passes}").permutation(len(prompts))
        chosen += [prompts[int(i)] for i in order[offset : offset + count - len(chosen)]]
    return chosen


def moved(rollout: Rollout, device: torch.device | str) -> Rollout:
    """The same rollout with the policy's tensors on `device`; scores stay where they are."""
    there = rollout.responses.to(device)
    return Rollout(rollout.prompts.to(device), there, rollout.samples, rollout.tokens, rollout.scores)


def joined(parts: list[Rollout], *, pad_id: int, prompt_side: Literal["left", "right"]) -> Rollout:
    """All responses of `parts`, in their order."""
    prompts: list[PromptBatch] = [part.prompts for part in parts]
    return Rollout(
        prompts=join_prompts(prompts, pad_id=pad_id, side=prompt_side),
        responses=join_responses([part.responses for part in parts], pad_id=pad_id),
        samples=[sample for part in parts for sample in part.samples],
        tokens=[tokens for part in parts for tokens in part.tokens],
        scores=_joined_scores([part.scores for part in parts]),
    )


def _joined_scores(parts: list[TokenScores]) -> TokenScores:
    return TokenScores(
        total=_stacked([part.total for part in parts]),
        shares={name: _stacked([part.shares[name] for part in parts]) for name in parts[0].shares},
        raw=[raw for part in parts for raw in part.raw],
        dropped=torch.cat([part.dropped for part in parts]),
    )


def _stacked(parts: list[Tensor]) -> Float[Tensor, "b t"]:
    """The rows of all parts, with zero columns up to the widest."""
    width = max(part.shape[1] for part in parts)
    return torch.cat([functional.pad(part, (0, width - part.shape[1])) for part in parts])
