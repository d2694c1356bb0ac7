"""Rollouts by an engine of vLLM's shape that runs the policy itself, a little wrongly on purpose."""

from dataclasses import dataclass

import pytest
import torch
from doubles.rl_world import small_trainer, word_policy

from spanwise.core.errors import ConfigError
from spanwise.models.config import Sampling
from spanwise.models.policy import Policy
from spanwise.rl.runtime.samplers import VllmSampler


@dataclass
class Request:
    """`vllm.SamplingParams` as far as it is used."""

    n: int
    temperature: float
    top_p: float
    top_k: int
    max_tokens: int
    min_tokens: int
    logprobs: int
    seed: int
    detokenize: bool
    stop_token_ids: list[int]


@dataclass
class Token:
    logprob: float


@dataclass
class Answer:
    token_ids: list[int]
    logprobs: list[dict[int, Token]]
    finish_reason: str


@dataclass
class Output:
    outputs: list[Answer]


class Engine:
    """Has `vllm.LLM`'s methods; `off` is added to every log-probability that it tells."""

    def __init__(self, policy, off=0.0):
        self.policy, self.off, self.requests = policy, off, []
        self.model_runner = self
        self.model = self

    def load_weights(self, weights):
        state = self.policy.model.state_dict()
        assert {name for name, _ in weights} <= set(state)
        self.policy.model.load_state_dict({**state, **dict(weights)})

    def collective_rpc(self, method, args=()):
        return [method(self, *args)]

    def generate(self, prompts, requests, use_tqdm):
        assert not use_tqdm
        return [self.answer(p["prompt_token_ids"], r) for p, r in zip(prompts, requests, strict=True)]

    def answer(self, ids, request):
        self.requests.append(request)
        drawn = self.policy.generate(
            self.policy.stack_prompts([ids]),
            sampling=Sampling(
                temperature=request.temperature, max_new_tokens=request.max_tokens, min_new_tokens=request.min_tokens
            ),
            samples_per_prompt=request.n,
            generator=torch.Generator().manual_seed(request.seed),
        )
        answers = []
        for row, logprobs, mask, cut in zip(drawn.ids, drawn.logprobs, drawn.mask, drawn.truncated, strict=True):
            told = [
                {int(i): Token(float(value) + self.off)} for i, value in zip(row[mask], logprobs[mask], strict=True)
            ]
            answers.append(Answer(row[mask].tolist(), told, "length" if cut else "stop"))
        return Output(answers)


def by_engine(folder, off=0.0, **settings):
    policy = word_policy()
    engine = Engine(word_policy(seed=1), off)
    trainer = small_trainer(folder, policy=policy, sampler=VllmSampler(policy, engine, Request), **settings)
    return trainer, engine


def test_an_exact_engine_with_the_policys_weights_needs_no_correction(tmp_path):
    trainer, engine = by_engine(tmp_path, sampling={"temperature": 0.8, "min_new_tokens": 3})
    rollout = trainer.rollout(1)
    assert all(
        (r.top_p, r.top_k, r.temperature, r.n, r.stop_token_ids) == (1.0, -1, 0.8, 2, [2]) for r in engine.requests
    )
    assert int(rollout.responses.lengths.min()) > 3
    experience = trainer.make_experience(rollout, kl_coef=0.1)
    torch.testing.assert_close(experience.old_logprobs, rollout.responses.logprobs, rtol=0, atol=1e-5)
    mask = experience.response_mask
    torch.testing.assert_close(experience.sampling_weights[mask], torch.ones(int(mask.sum())), rtol=0, atol=1e-5)


def test_the_weights_of_a_wrong_engine_are_those_of_its_error_and_scale_the_advantages(tmp_path):
    trainer, _ = by_engine(tmp_path / "off", off=-0.3)
    exact, _ = by_engine(tmp_path / "exact")
    wrong = trainer.make_experience(trainer.rollout(1), kl_coef=0.1)
    mask = wrong.response_mask
    torch.testing.assert_close(wrong.sampling_weights[mask], torch.full((int(mask.sum()),), 0.3).exp())
    batches = [t.batch_of(t.make_experience(t.rollout(1), kl_coef=0.1)) for t in (trainer, exact)]
    factor = float(torch.tensor(0.3).exp())
    torch.testing.assert_close(batches[0].advantages, batches[1].advantages * factor, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(batches[0].returns, batches[1].returns, rtol=1e-4, atol=1e-5)
    metrics = trainer.step(1)
    assert metrics["sampler/kl"] == pytest.approx(-0.3, abs=1e-4)
    assert metrics["sampler/bounded"] == 0.0


def test_a_run_follows_the_policy(tmp_path):
    trainer, engine = by_engine(tmp_path, steps=2, lora={"rank": 4})
    trainer.run()
    # The engine samples the second step with what the first has taught.
    theirs, merged = engine.policy.model.state_dict(), word_policy().model.state_dict()
    assert not all(torch.equal(theirs[name], merged[name]) for name in merged)


def test_what_would_bias_the_samples_is_refused(tmp_path, tiny_t5):
    trainer, _ = by_engine(tmp_path, sampling={"top_k": 3})
    with pytest.raises(ConfigError, match=r"sampling\.top_k"):
        trainer.rollout(1)
    with pytest.raises(ConfigError, match=r"cannot replay sampling\.top_k"):
        small_trainer(tmp_path, rollout={"backend": "vllm"}, sampling={"top_k": 3})
    with pytest.raises(ConfigError, match="causal policy"):
        VllmSampler(Policy(*tiny_t5), None, Request)
    with pytest.raises(ConfigError, match="needs vLLM"):
        VllmSampler.load(word_policy(), "nowhere", memory_share=0.3)
