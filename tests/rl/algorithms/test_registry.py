"""Each algorithm's advantages, and that a run with it goes through the same trainer."""

import dataclasses
import json

import pytest
import torch
from doubles.rl_world import ScriptedSource, pay_at_end, pay_each, pipeline_of, small_trainer

from spanwise.core.errors import ConfigError
from spanwise.rl.algorithms.registry import GRPO, PPO, RLOO, ExpertIteration, ReinforcePlusPlus, make_algorithm

KINDS = {
    "ppo": PPO,
    "grpo": GRPO,
    "rloo": RLOO,
    "reinforce++": ReinforcePlusPlus,
    "expert-iteration": ExpertIteration,
}
WITHOUT_VALUES = [name for name in KINDS if name != "ppo"]


def experience_of(tmp_path, algorithm, script=pay_each, **settings):
    trainer = small_trainer(
        tmp_path,
        algorithm=algorithm,
        pipeline=pipeline_of(ScriptedSource(script, density="sequence" if script is pay_at_end else "token")),
        rollout={"prompts_per_step": 3, "samples_per_prompt": 4},
        kl={"coef": 0.0},
        **settings,
    )
    return trainer, trainer.make_experience(trainer.rollout(1), kl_coef=0.0)


@pytest.mark.parametrize(("name", "kind"), KINDS.items())
def test_the_config_names_the_algorithm(tmp_path, name, kind):
    assert type(make_algorithm(small_trainer(tmp_path, algorithm=name).config)) is kind


@pytest.mark.parametrize("name", WITHOUT_VALUES)
def test_a_run_without_a_value_model(tmp_path, name):
    trainer = small_trainer(tmp_path, algorithm=name, steps=2, value_warmup_steps=1)
    assert trainer.value_model is None
    trainer.run()
    metrics = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert not [key for row in metrics for key in row if key.startswith("value/")]
    assert all(row["policy/grad_norm"] > 0 for row in metrics[1:])


def totals_of(experience):
    return experience.token_rewards.sum(1)


def test_rloo_with_terminal_rewards_is_the_known_formula(tmp_path):
    trainer, experience = experience_of(tmp_path, "rloo", pay_at_end)
    advantages = trainer.parts.algorithm.advantages(experience).advantages
    rewards = totals_of(experience).view(3, 4)
    expected = (rewards - (rewards.sum(1, keepdim=True) - rewards) / 3).view(-1, 1) * experience.response_mask
    assert expected.abs().max() > 0.5
    torch.testing.assert_close(advantages, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("divide", [True, False])
def test_grpo_with_terminal_rewards_is_the_known_formula(tmp_path, divide):
    trainer, experience = experience_of(tmp_path, "grpo", pay_at_end, group={"divide_by_std": divide})
    advantages = trainer.parts.algorithm.advantages(experience).advantages
    rewards = totals_of(experience).view(3, 4)
    expected = rewards - rewards.mean(1, keepdim=True)
    if divide:
        expected = expected / (rewards.std(1, keepdim=True) + 1e-6)
    expected = expected.view(-1, 1) * experience.response_mask
    torch.testing.assert_close(advantages, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["rloo", "grpo", "reinforce++"])
def test_dense_rewards_credit_what_comes_after_them_only(tmp_path, name):
    """Changing a reward changes no advantage of a later token of any response."""
    trainer, experience = experience_of(tmp_path, name, group={"divide_by_std": False})
    column, longest = 2, int(experience.response_mask.sum(1).argmax())
    changed = experience.token_rewards.clone()
    changed[longest, column] += 5.0
    algorithm = trainer.parts.algorithm
    before = algorithm.advantages(experience)
    after = algorithm.advantages(dataclasses.replace(experience, token_rewards=changed))
    assert torch.equal(before.returns[:, column + 1 :], after.returns[:, column + 1 :])
    assert not torch.equal(before.returns[longest, : column + 1], after.returns[longest, : column + 1])
    if name != "reinforce++":  # which normalises over all tokens of the step
        torch.testing.assert_close(before.advantages[:, column + 1 :], after.advantages[:, column + 1 :])


def test_reinforce_plus_plus_normalises_rewards_to_go(tmp_path):
    trainer, experience = experience_of(tmp_path, "reinforce++", ppo={"gamma": 0.9})
    credit = trainer.parts.algorithm.advantages(experience)
    mask, rewards = experience.response_mask, experience.token_rewards
    for row in range(len(rewards)):
        length = int(mask[row].sum())
        expected = [sum(0.9 ** (k - t) * float(rewards[row, k]) for k in range(t, length)) for t in range(length)]
        assert credit.returns[row, :length].tolist() == pytest.approx(expected, abs=1e-5)
    found = credit.advantages[mask]
    assert float(found.mean()) == pytest.approx(0, abs=1e-5)
    assert float(found.var(unbiased=False)) == pytest.approx(1, abs=1e-4)


def test_expert_iteration_learns_the_first_best_response_of_each_prompt(tmp_path):
    trainer, experience = experience_of(tmp_path, "expert-iteration")
    advantages = trainer.parts.algorithm.advantages(experience).advantages
    totals = totals_of(experience).view(3, 4)
    best = torch.zeros(3, 4)
    for prompt, row in enumerate(totals.tolist()):
        best[prompt, row.index(max(row))] = 1.0
    assert torch.equal(advantages, best.view(-1, 1) * experience.response_mask)


def test_decoupled_and_length_adaptive_gae(tmp_path):
    values = {"gae_lambda": 0.5, "normalize_advantages": False}
    trainer, experience = experience_of(tmp_path, "ppo", ppo=values)
    plain = trainer.parts.algorithm.advantages(experience)

    def with_settings(**more):
        config = trainer.config.ppo.model_copy(update=more)
        return PPO(config).advantages(experience)

    decoupled = with_settings(gae_lambda_value=1.0)
    assert torch.equal(decoupled.advantages, plain.advantages)
    assert torch.equal(decoupled.returns, with_settings(gae_lambda=1.0).returns)
    adaptive = with_settings(length_adaptive_alpha=0.5)
    for row, length in enumerate(experience.response_mask.sum(1).tolist()):
        alone = with_settings(gae_lambda=max(0.0, 1 - 1 / (0.5 * length)))
        torch.testing.assert_close(adaptive.advantages[row], alone.advantages[row])


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"algorithm": "grpo", "rollout": {"samples_per_prompt": 1}}, "samples_per_prompt above 1"),
        ({"algorithm": "dpo"}, "algorithm"),
        ({"evaluation": {"best_of": 2}}, "evaluation.decoding=sample"),
        ({"ppo": {"loss_aggregation": "mean"}}, "ppo.loss_aggregation"),
    ],
)
def test_settings_that_do_not_fit_are_refused(tmp_path, settings, words):
    with pytest.raises(ConfigError, match=words):
        small_trainer(tmp_path, **settings)
