"""Every algorithm without a value model learns the world of a dozen words as well, and adapters are enough for it."""

import pytest
from doubles.rl_world import small_trainer

STEP = {
    "rollout": {"prompts_per_step": 8, "samples_per_prompt": 4},
    "sampling": {"max_new_tokens": 12},
    "policy_optimizer": {"learning_rate": 3e-3, "decay": "constant"},
    "kl": {"coef": 0.0},
    "update": {"epochs": 4, "micro_batch_size": 32},
}


@pytest.mark.parametrize(
    "settings",
    [
        {"algorithm": "rloo"},
        {"algorithm": "grpo"},
        {"algorithm": "reinforce++"},
        {"algorithm": "expert-iteration"},
        {"algorithm": "rloo", "lora": {"rank": 8}},
    ],
    ids="-".join,
)
def test_the_reward_rises(tmp_path, settings):
    """Two good words of twelve at first; at least twice as many after eight steps of 32 responses."""
    trainer = small_trainer(tmp_path, **STEP, **settings, steps=8)
    rewards = [trainer.step(step)["reward/total"] for step in range(1, 9)]
    assert rewards[0] < 3
    assert rewards[-1] > 2 * rewards[0], rewards
