"""From prompts to scored responses: sample, decode, align, score.

Texts and the place of every token in them come from the sampled ids, so that a segment's reward lands on the token
that ended it. Knows nothing of references, values or updates.
"""

from collections.abc import Sequence

import torch

from spanwise.feedback.prompts import PromptRecord
from spanwise.models.batches import PromptBatch, ResponseBatch
from spanwise.models.policy import Policy
from spanwise.models.sampling import Sampling
from spanwise.rewards.pipeline import RewardPipeline
from spanwise.rl.compat import retokenized_spans
from spanwise.rl.timing import Clock
from spanwise.rl.types import Rollout
from spanwise.scores import Sample
from spanwise.text.alignment import Alignment, TokenAligner
from spanwise.text.token_spans import TokenSpans


class RolloutMaker:
    """Samples responses from a policy and has them scored. `clock` learns where the time goes."""

    def __init__(
        self,
        policy: Policy,
        pipeline: RewardPipeline,
        *,
        max_prompt_tokens: int,
        retokenized_placement: bool = False,
        clock: Clock | None = None,
    ) -> None:
        self.policy = policy
        self.pipeline = pipeline
        self.clock = clock or Clock()
        self._max_prompt_tokens = max_prompt_tokens
        self._retokenized = retokenized_placement
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
        """Several sampled responses per prompt, those of one prompt next to each other, scored as of `step`."""
        with self.clock("rollout"):
            prompts = self._encode(records)
            responses = self.policy.generate(
                prompts, sampling=sampling, samples_per_prompt=samples_per_prompt, generator=generator
            )
        repeated = [record for record in records for _ in range(samples_per_prompt)]
        return self._scored(repeated, prompts.repeat(samples_per_prompt), responses, step)

    def greedy(self, records: Sequence[PromptRecord], *, max_new_tokens: int, step: int = 0) -> Rollout:
        """The likeliest response to each prompt, scored as of `step`."""
        with self.clock("rollout"):
            prompts = self._encode(records)
            responses = self.policy.greedy(prompts, max_new_tokens=max_new_tokens)
        return self._scored(records, prompts, responses, step)

    def _encode(self, records: Sequence[PromptRecord]) -> PromptBatch:
        return self.policy.encode_prompts([record.model_input for record in records], self._max_prompt_tokens)

    def _scored(
        self, records: Sequence[PromptRecord], prompts: PromptBatch, responses: ResponseBatch, step: int
    ) -> Rollout:
        with self.clock("text"):
            ids = responses.token_lists()
            alignments = [stripped(self._aligner.align(row)) for row in ids]
            tokens = [self._token_texts(row, a.text, a.spans) for row, a in zip(ids, alignments, strict=True)]
            spans = [
                retokenized_spans(self.policy.tokenizer, a.text, len(row)) if self._retokenized else a.spans
                for row, a in zip(ids, alignments, strict=True)
            ]
            samples = [
                Sample(record.prompt, a.text, record.passages, truncated, record.metadata)
                for record, a, truncated in zip(records, alignments, responses.truncated.tolist(), strict=True)
            ]
        with self.clock("score"):
            scores = self.pipeline(samples, spans, step=step)
        return Rollout(prompts, responses, samples, tokens, scores)

    def _token_texts(self, ids: list[int], text: str, spans: TokenSpans) -> list[str]:
        names = self.policy.tokenizer.convert_ids_to_tokens(ids)
        return [text[start:end] or name for (start, end), name in zip(spans.pairs(), names, strict=True)]


def stripped(alignment: Alignment) -> Alignment:
    """The same alignment without the whitespace around the text: sources read what people read.

    Most tokenizers write the space between prompt and response into the response's first token.
    """
    text = alignment.text.strip()
    lead = len(alignment.text) - len(alignment.text.lstrip())
    return Alignment(text, TokenSpans.of(alignment.spans).within(lead, lead + len(text)))
