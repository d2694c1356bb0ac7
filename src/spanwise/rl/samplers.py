"""Where the responses of a rollout come from: the policy itself, or a vLLM engine that holds a copy of its weights.

An engine gets the policy's weights before every rollout and gives sampled ids with the log-probabilities that it drew
them with. These are not the policy's own to the last digits, which `correction.py` mends. Knows nothing of rewards.
"""

import os
from collections.abc import Sequence
from typing import Any, Protocol, cast, runtime_checkable

import torch
from torch import Tensor

from spanwise.errors import ConfigError
from spanwise.models.batches import PromptBatch, ResponseBatch, pad
from spanwise.models.policy import Policy
from spanwise.models.sampling import Sampling


@runtime_checkable
class Sampler(Protocol):
    """What a rollout needs; `Policy` is one."""

    def generate(
        self, prompts: PromptBatch, *, sampling: Sampling, samples_per_prompt: int = 1, generator: torch.Generator
    ) -> ResponseBatch:
        """Responses with the log-probabilities that they were drawn with, those of one prompt next to each other."""
        ...


class VllmSampler:
    """Samples by a vLLM engine in this process, whose weights are replaced by the policy's before each rollout.

    `engine` is a `vllm.LLM` or whatever has its `generate` and `collective_rpc`; `parameters` makes its sampling
    parameters (`vllm.SamplingParams`).
    """

    def __init__(self, policy: Policy, engine: Any, parameters: Any) -> None:
        if policy.is_encoder_decoder:
            raise ConfigError("rollout.backend=vllm needs a causal policy; use rollout.backend=transformers.")
        self._policy = policy
        self._engine = engine
        self._parameters = parameters

    @classmethod
    def load(cls, policy: Policy, checkpoint: str, *, memory_share: float) -> "VllmSampler":
        """An engine on `checkpoint`, the folder or Hub name of the policy; ConfigError where vLLM is not installed."""
        try:
            import vllm  # pyright: ignore[reportMissingImports]  # noqa: PLC0415 - an optional extra
        except ImportError as error:
            raise ConfigError("rollout.backend=vllm needs vLLM; pip install 'spanwise[vllm]'.") from error
        os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")  # weights are handed over within this process
        engine = vllm.LLM(
            model=checkpoint,
            dtype=str(policy.model.dtype).removeprefix("torch."),
            gpu_memory_utilization=memory_share,
            logprobs_mode="processed_logprobs",  # after temperature: those of the distribution that was drawn from
        )
        return cls(policy, engine, vllm.SamplingParams)

    def generate(
        self, prompts: PromptBatch, *, sampling: Sampling, samples_per_prompt: int = 1, generator: torch.Generator
    ) -> ResponseBatch:
        """Brings the policy's weights to the engine and samples; a seed per prompt comes from `generator`."""
        if sampling.top_k > 0:
            raise ConfigError(
                "sampling.top_k cannot be replayed from vLLM's samples and would bias the gradient; set it to 0 or use "
                "rollout.backend=transformers."
            )
        self._bring_weights()
        rows = [ids[mask].tolist() for ids, mask in zip(prompts.ids.cpu(), prompts.mask.cpu(), strict=True)]
        seeds = torch.randint(2**31, (len(rows),), generator=generator, device=generator.device).tolist()
        outputs = self._engine.generate(
            [{"prompt_token_ids": row} for row in rows],
            [self._request(sampling, samples_per_prompt, seed) for seed in seeds],
            use_tqdm=False,
        )
        return self._batch([one for output in outputs for one in output.outputs], sampling.max_new_tokens)

    def _request(self, sampling: Sampling, samples: int, seed: int) -> Any:
        return self._parameters(
            n=samples,
            temperature=sampling.temperature,
            top_p=1.0,
            top_k=-1,
            max_tokens=sampling.max_new_tokens,
            logprobs=0,
            seed=seed,
            detokenize=False,
            stop_token_ids=self._policy.end_ids,
        )

    def _bring_weights(self) -> None:
        role = self._policy.role
        module = cast("torch.nn.Module", self._policy.model)
        weights: dict[str, Tensor] = dict(module.named_parameters()) if role is None else role.merged()
        self._engine.collective_rpc(_load_weights, args=([(name, w.detach()) for name, w in weights.items()],))

    def _batch(self, answers: Sequence[Any], limit: int) -> ResponseBatch:
        tokens = [list(answer.token_ids)[:limit] for answer in answers]
        logprobs = [
            [float(place[id_].logprob) for id_, place in zip(row, answer.logprobs, strict=False)]
            for row, answer in zip(tokens, answers, strict=True)
        ]
        ids, mask = pad(tokens, value=self._policy.pad_id, side="right")
        found = torch.zeros(ids.shape)
        found[mask] = torch.tensor([value for row in logprobs for value in row])
        truncated = torch.tensor([answer.finish_reason == "length" for answer in answers])
        device = self._policy.device
        return ResponseBatch(ids.to(device), mask.to(device), found.to(device), truncated.to(device))


def _load_weights(worker: Any, weights: list[tuple[str, Tensor]]) -> None:
    """Runs in the engine's worker."""
    worker.model_runner.model.load_weights(weights)
