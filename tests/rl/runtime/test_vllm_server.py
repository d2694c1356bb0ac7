"""Rollouts over HTTP from a server that speaks vLLM's protocol: what it is asked, and the ways in which it can fail."""

import pytest
import torch
from doubles.rl_world import PROMPTS, small_trainer, word_policy
from doubles.vllm_server import VllmDouble, serving

from spanwise.core.errors import ConfigError, TrainingError
from spanwise.models.config import Sampling
from spanwise.models.policy import Policy
from spanwise.rl.config import ServerConfig
from spanwise.rl.runtime import vllm_server
from spanwise.rl.runtime.resume import check_same_settings
from spanwise.rl.runtime.samplers import VllmServerSampler
from spanwise.rl.runtime.vllm_server import VllmServer
from spanwise.training.processes import Processes

SAMPLING = Sampling(temperature=0.8, max_new_tokens=8, min_new_tokens=2)


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(vllm_server, "FIRST_PAUSE_S", 0.01)


@pytest.fixture
def double():
    """A server with other weights than the policy's."""
    return VllmDouble(word_policy(seed=1))


def sampler_of(policy, url, folder, **settings):
    config = ServerConfig(base_url=url, **{"timeout_s": 60.0, "retries": 2, **settings})
    return VllmServerSampler.load(policy, config, SAMPLING, folder, processes=Processes())


def drawn(policy, sampler, samples=2):
    prompts = policy.encode_prompts([record.prompt for record in PROMPTS[:3]])
    generator = torch.Generator().manual_seed(0)
    return sampler.generate(prompts, sampling=SAMPLING, samples_per_prompt=samples, generator=generator)


def test_responses_are_those_of_the_policys_weights_prompt_by_prompt(double, tmp_path):
    policy = word_policy()
    with serving(double) as url:
        sampler = sampler_of(policy, url + "/v1/", tmp_path)
        sampler.follow()
        batch = drawn(policy, sampler)
    seeds = torch.randint(2**31, (3,), generator=torch.Generator().manual_seed(0)).tolist()
    for number, record in enumerate(PROMPTS[:3]):
        alone = policy.generate(
            policy.encode_prompts([record.prompt]),
            sampling=SAMPLING,
            samples_per_prompt=2,
            generator=torch.Generator().manual_seed(seeds[number]),
        )
        for row in range(2):
            mask = batch.mask[2 * number + row]
            assert batch.ids[2 * number + row][mask].tolist() == alone.ids[row][alone.mask[row]].tolist()
            torch.testing.assert_close(batch.logprobs[2 * number + row][mask], alone.logprobs[row][alone.mask[row]])
        assert batch.truncated[2 * number : 2 * number + 2].tolist() == alone.truncated.tolist()
    asked = [body for path, body in double.requests if path == "/v1/completions"]
    assert sorted(body["seed"] for body in asked) == sorted(seeds)
    for body in asked:
        neutral = ("top_p", "top_k", "min_p", "repetition_penalty", "presence_penalty", "frequency_penalty")
        assert [body[name] for name in neutral] == [1.0, 0, 0.0, 1.0, 0.0, 0.0]
        assert (body["temperature"], body["n"], body["stop_token_ids"]) == (0.8, 2, policy.end_ids)


@pytest.mark.parametrize("lora", [None, {"rank": 4, "alpha": 8.0}])
def test_a_run_renews_the_servers_weights_and_leaves_one_folder(double, tmp_path, lora):
    policy = word_policy()
    with serving(double) as url:
        sampler = sampler_of(policy, url, tmp_path / "weights")
        settings = {"sampling": {"temperature": 0.8}, "evaluation": {"every": 2}, "lora": lora}
        trainer = small_trainer(tmp_path / "run", policy=policy, sampler=sampler, **settings)
        trainer.run()
    assert len(double.loaded) == len(set(double.loaded)) == 2
    assert [folder.name for folder in (tmp_path / "weights").iterdir()] == [double.loaded[-1].name]
    salts = [body["cache_salt"] for path, body in double.requests if path == "/v1/completions"]
    assert salts == [folder.name for folder in double.loaded for _ in range(4)]
    # The server is exact, so that its weights were the policy's whenever it sampled: there is nothing to correct.
    lines = trainer.folder.path.joinpath("metrics.jsonl").read_text().splitlines()[1:]
    assert len(lines) == 2
    assert all('"sampler/bounded": 0.0' in line for line in lines)
    kl = [float(line.split('"sampler/kl": ')[1].split(",")[0].rstrip("}")) for line in lines]
    assert kl == pytest.approx([0.0, 0.0], abs=1e-5)


@pytest.mark.parametrize(
    ("mode", "temperature", "fits"),
    [
        ("processed_logprobs", 0.8, True),
        ("raw_logprobs", 1.0, True),
        ("raw_logprobs", 0.8, False),
        ("raw_logits", 1.0, False),
        ("processed_logits", 1.0, False),
    ],
)
def test_log_probabilities_of_another_distribution_are_refused(mode, temperature, fits):
    with serving(VllmDouble(word_policy(), mode=mode)) as url:
        server = VllmServer(ServerConfig(base_url=url))
        if fits:
            server.check(Sampling(temperature=temperature))
        else:
            with pytest.raises(ConfigError, match="--logprobs-mode processed_logprobs"):
                server.check(Sampling(temperature=temperature))


def changed(**values):
    return lambda choice: {**choice, **values}


def cut_short(choice):
    keep = len(choice["token_ids"]) - 1
    logprobs = {**choice["logprobs"], "token_logprobs": choice["logprobs"]["token_logprobs"][:keep]}
    return {**choice, "token_ids": choice["token_ids"][:keep], "logprobs": logprobs, "finish_reason": "length"}


def one_logprob(value):
    return lambda choice: {
        **choice,
        "logprobs": {**choice["logprobs"], "token_logprobs": [value, *choice["logprobs"]["token_logprobs"][1:]]},
    }


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (changed(prompt_token_ids=[1]), "another prompt than was sent"),
        (changed(finish_reason="abort"), "ended an answer by 'abort'"),
        (changed(finish_reason="stop", token_ids=[5] * 8, logprobs={"token_logprobs": [-1.0] * 8}), "no end to the"),
        (cut_short, r"cut an answer at \d tokens, not 8; raise its --max-model-len"),
        (one_logprob(-9999.0), "which no drawn tokens have"),
        (one_logprob(3.5), "which no drawn tokens have"),
        (one_logprob(None), r"choices\.0\.logprobs\.token_logprobs\.0 is not what vLLM"),
        (changed(token_ids=None), r"choices\.0\.token_ids is not what vLLM 0\.10\.2 or newer replies"),
        (changed(logprobs=None), r"choices\.0\.logprobs is not what vLLM"),
        (changed(token_ids=[2]), r"gave \d log-probabilities for 1 tokens"),
        (changed(token_ids=[], logprobs={"token_logprobs": []}), "gave 0 log-probabilities for 0 tokens"),
    ],
)
def test_answers_that_would_bias_are_refused(double, tmp_path, edit, message):
    policy = word_policy()
    with serving(double) as url:
        sampler = sampler_of(policy, url, tmp_path)
        double.edit = edit
        with pytest.raises(ConfigError, match=message):
            drawn(policy, sampler)


def test_what_shapes_the_distribution_unseen_is_refused(double, tmp_path, tiny_t5):
    policy = word_policy()
    with serving(double) as url:
        sampler = sampler_of(policy, url, tmp_path)
        with pytest.raises(ConfigError, match=r"sampling\.top_k cannot be replayed"):
            sampler.generate(
                policy.encode_prompts(["good"]), sampling=Sampling(top_k=3), generator=torch.Generator().manual_seed(0)
            )
        with pytest.raises(ConfigError, match="causal policy"):
            sampler_of(Policy(*tiny_t5), url, tmp_path)
    with pytest.raises(ConfigError, match=r"rollout\.backend=vllm-server cannot replay sampling\.top_k"):
        small_trainer(tmp_path, rollout={"backend": "vllm-server"}, sampling={"top_k": 3})


@pytest.mark.parametrize(("failures", "timeout"), [([500], 60.0), ([503, 429], 60.0), ([4.0], 3.0)])
def test_passing_failures_are_tried_again_with_the_same_seed(double, tmp_path, failures, timeout):
    policy = word_policy()
    with serving(double) as url:
        sampler = sampler_of(policy, url, tmp_path, timeout_s=timeout, concurrency=1)
        calm = drawn(policy, sampler)
        double.failures = {"/v1/completions": list(failures)}
        double.requests.clear()
        again = drawn(policy, sampler)
    assert torch.equal(calm.ids, again.ids)
    seeds = [body["seed"] for _path, body in double.requests]
    assert len(seeds) == 3 + len(failures)
    assert seeds[: len(failures) + 1] == [seeds[0]] * (len(failures) + 1)


@pytest.mark.parametrize(
    ("failures", "timeout", "reason"), [([500] * 9, 60.0, "status 500: EngineCore"), ([2.0] * 9, 1.0, "time-out")]
)
def test_lasting_failures_stop_the_run_with_the_reason(double, tmp_path, failures, timeout, reason):
    policy = word_policy()
    with serving(double) as url:
        sampler = sampler_of(policy, url, tmp_path, timeout_s=timeout, concurrency=1, retries=1)
        double.failures = {"/v1/completions": failures}
        with pytest.raises(TrainingError, match=rf"/v1/completions: no answer \({reason}"):
            drawn(policy, sampler)


def test_a_server_that_went_away_is_not_waited_for_but_one_that_is_not_there_yet(double, tmp_path, monkeypatch):
    policy = word_policy()
    with serving(double) as url:
        sampler = sampler_of(policy, url, tmp_path, retries=3)
    pauses = []
    monkeypatch.setattr(vllm_server.time, "sleep", pauses.append)
    with pytest.raises(TrainingError, match=r"no answer .*refused"):
        drawn(policy, sampler)
    assert pauses == []
    with pytest.raises(TrainingError, match="/server_info"):
        sampler_of(policy, url, tmp_path, retries=3)
    assert pauses == [0.01, 0.02, 0.04]


def test_refusals_are_told_in_the_servers_words_and_not_tried_again(double, tmp_path, monkeypatch):
    policy = word_policy()
    monkeypatch.delenv("VLLM_API_KEY", raising=False)
    with serving(double) as url:
        sampler = sampler_of(policy, url, tmp_path)
        prompts = policy.stack_prompts([[5] * 60])
        with pytest.raises(ConfigError, match="maximum context length is 64 tokens"):
            sampler.generate(prompts, sampling=SAMPLING, generator=torch.Generator().manual_seed(0))
        double.key = "secret"
        with pytest.raises(ConfigError, match=r"status 401: Unauthorized.*VLLM_API_KEY"):
            sampler_of(policy, url, tmp_path)
        monkeypatch.setenv("VLLM_API_KEY", "secret")
        sampler_of(policy, url, tmp_path)
        double.developer = False
        with pytest.raises(ConfigError, match="VLLM_SERVER_DEV_MODE=1"):
            sampler_of(policy, url, tmp_path)
    assert [path for path, _ in double.requests].count("/v1/completions") == 1


def test_weights_that_the_server_cannot_see_stop_the_run(double, tmp_path):
    with serving(double) as url:
        server = VllmServer(ServerConfig(base_url=url, retries=0))
        with pytest.raises(TrainingError, match=r"/collective_rpc: no answer .*Cannot find model weights"):
            server.load_weights(tmp_path / "elsewhere")


def test_something_else_at_the_address_is_refused(monkeypatch):
    double = VllmDouble(word_policy())
    monkeypatch.setattr(double, "answer", lambda path, body: (200, {"hello": "world"}))
    with serving(double) as url, pytest.raises(ConfigError, match="does not say its settings as vLLM does"):
        VllmServer(ServerConfig(base_url=url)).check(Sampling())


def test_a_run_may_go_on_with_a_server_elsewhere(tmp_path):
    trainer = small_trainer(tmp_path / "run", rollout={"backend": "vllm-server", "server": {"base_url": "http://a:1"}})
    trainer.folder.save_config(trainer.config)
    server = trainer.config.rollout.server.model_copy(update={"base_url": "http://b:2"})
    rollout = trainer.config.rollout.model_copy(update={"server": server})
    check_same_settings(trainer.folder.path, trainer.config.model_copy(update={"rollout": rollout}))
    other = rollout.model_copy(update={"backend": "vllm"})
    with pytest.raises(ConfigError, match=r"rollout\.backend"):
        check_same_settings(trainer.folder.path, trainer.config.model_copy(update={"rollout": other}))
