"""What samples the responses of a rollout in the policy's stead: vLLM with a copy of its weights, here or as a server.

An engine gets the policy's weights before every rollout and gives sampled ids with the log-probabilities that it drew
them with. These are not the policy's own to the last digits, which `correction.py` mends. Knows nothing of rewards.
"""

import os
import shutil
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from spanwise.core import ConfigError
from spanwise.models import Policy, PromptBatch, ResponseBatch, Sampling, pad
from spanwise.rl.config import ServerConfig
from spanwise.rl.runtime.vllm_server import Completion, Request, VllmServer
from spanwise.training import Processes


@runtime_checkable
class Sampler(Protocol):
    """Samples as the policy would."""

    def follow(self) -> None:
        """Takes on the weights that the policy has now; called by all processes before each rollout."""
        ...

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
        _check_causal(policy)
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
        """Samples with a seed per prompt that comes from `generator`."""
        _check_replayable(sampling)
        rows, seeds = _rows(prompts), _seeds(len(prompts), generator)
        outputs = self._engine.generate(
            [{"prompt_token_ids": row} for row in rows],
            [self._request(sampling, samples_per_prompt, seed) for seed in seeds],
            use_tqdm=False,
        )
        return _batch(self._policy, [_completion(completion) for output in outputs for completion in output.outputs])

    def _request(self, sampling: Sampling, samples: int, seed: int) -> Any:
        return self._parameters(
            n=samples,
            temperature=sampling.temperature,
            top_p=1.0,
            top_k=-1,
            max_tokens=sampling.max_new_tokens,
            min_tokens=sampling.min_new_tokens,
            logprobs=0,
            seed=seed,
            detokenize=False,
            stop_token_ids=self._policy.end_ids,
        )

    def follow(self) -> None:
        """Hands the weights over within this process."""
        weights = [(name, weight.detach()) for name, weight in self._policy.weights().items()]
        self._engine.collective_rpc(_load_weights, args=(weights,))


class VllmServerSampler:
    """Samples by a vLLM server, which reads the policy's weights from `folder` before each rollout.

    The first of several processes writes the weights and has them loaded; each asks for its own prompts.
    """

    def __init__(
        self, policy: Policy, server: VllmServer, folder: Path, *, concurrency: int, processes: Processes | None = None
    ) -> None:
        _check_causal(policy)
        self._policy = policy
        self._server = server
        self._folder = folder.absolute()
        self._concurrency = concurrency
        self._processes = processes or Processes()
        self._version = ""

    @classmethod
    def load(
        cls, policy: Policy, config: ServerConfig, sampling: Sampling, folder: Path, *, processes: Processes
    ) -> "VllmServerSampler":
        """Waits for the server; ConfigError where it is not fit for this sampling."""
        server = VllmServer(config)
        server.check(sampling)
        weights_folder = config.weights_dir or folder
        return cls(policy, server, weights_folder, concurrency=config.concurrency, processes=processes)

    def follow(self) -> None:
        """Writes the weights under a name that never was (vLLM may keep what it read) and has the server read them."""
        version, weights = f"weights-{uuid.uuid4().hex}", self._policy.weights()
        if self._processes.writes:
            self._policy.save(self._folder / version, weights)
            self._server.load_weights(self._folder / version)
            for old in self._folder.glob("weights-*"):
                if old.name != version:
                    shutil.rmtree(old)
        self._version = self._processes.gather(version)[0]  # which comes when the server has them

    def generate(
        self, prompts: PromptBatch, *, sampling: Sampling, samples_per_prompt: int = 1, generator: torch.Generator
    ) -> ResponseBatch:
        """Samples with a request and a seed of its own per prompt; keys and values of older weights are not reused."""
        _check_replayable(sampling)
        rows, seeds, ends = _rows(prompts), _seeds(len(prompts), generator), self._policy.end_ids
        requests = [
            Request(row, samples_per_prompt, sampling, seed, ends, self._version)
            for row, seed in zip(rows, seeds, strict=True)
        ]
        with ThreadPoolExecutor(min(self._concurrency, len(rows))) as pool:
            completions = [
                completion for answers in pool.map(self._server.complete, requests) for completion in answers
            ]
        return _batch(self._policy, completions)


def _load_weights(worker: Any, weights: list[tuple[str, Tensor]]) -> None:
    """Runs in the engine's worker."""
    worker.model_runner.model.load_weights(weights)


def _completion(answer: Any) -> Completion:
    ids = list(answer.token_ids)
    logprobs = [float(token_logprobs[id_].logprob) for id_, token_logprobs in zip(ids, answer.logprobs, strict=True)]
    return Completion(ids, logprobs, answer.finish_reason == "length")


def _check_causal(policy: Policy) -> None:
    if policy.is_encoder_decoder:
        raise ConfigError("rollout.backend: vLLM needs a causal policy; use rollout.backend=transformers.")


def _check_replayable(sampling: Sampling) -> None:
    if sampling.top_k > 0:
        raise ConfigError(
            "sampling.top_k cannot be replayed from vLLM's samples and would bias the gradient; set it to 0 or use "
            "rollout.backend=transformers."
        )


def _rows(prompts: PromptBatch) -> list[list[int]]:
    return [ids[mask].tolist() for ids, mask in zip(prompts.ids.cpu(), prompts.mask.cpu(), strict=True)]


def _seeds(count: int, generator: torch.Generator) -> list[int]:
    return torch.randint(2**31, (count,), generator=generator, device=generator.device).tolist()


def _batch(policy: Policy, completions: Sequence[Completion]) -> ResponseBatch:
    ids, mask = pad([completion.token_ids for completion in completions], value=policy.pad_id, side="right")
    logprobs = torch.zeros(ids.shape)
    logprobs[mask] = torch.tensor([value for completion in completions for value in completion.logprobs])
    truncated = torch.tensor([completion.truncated for completion in completions])
    return ResponseBatch(
        ids.to(policy.device), mask.to(policy.device), logprobs.to(policy.device), truncated.to(policy.device)
    )
