"""PPO learns in a world of a dozen words, and pay on the words that earned it teaches faster than a sum at the end."""

from doubles.rl_world import ScriptedSource, pay_at_end, pay_each, pipeline_of, small_trainer

STEP = {
    "rollout": {"prompts_per_step": 8, "samples_per_prompt": 4},
    "sampling": {"max_new_tokens": 12},
    "policy_optimizer": {"learning_rate": 3e-3, "decay": "constant"},
    "kl": {"coef": 0.0},
    "update": {"epochs": 4, "micro_batch_size": 32},
}


def test_ppo_passes_a_reward_threshold(tmp_path):
    """From about 1.5 good words of 12 to more than 10 in 15 steps of 32 responses."""
    result = small_trainer(tmp_path, **STEP, steps=15, evaluation={"every": 15, "decoding": "sample"}).run()
    assert result.first_reward < 4
    assert result.last_reward > 9


def test_dense_credit_beats_the_same_reward_on_the_last_token_at_equal_samples(tmp_path):
    """The same points for the same words, paid word by word or in one sum at the end: six steps, three seeds."""
    sampled = {"dense": [], "sparse": []}
    for seed in range(3):
        for name, script in (("dense", pay_each), ("sparse", pay_at_end)):
            pipeline = pipeline_of(ScriptedSource(script))
            trainer = small_trainer(tmp_path / f"{name}{seed}", pipeline=pipeline, seed=seed, steps=6, **STEP)
            sampled[name].append([trainer.step(step)["reward/total"] for step in range(1, 7)])
    starts, ends = ({name: [run[i] for run in runs] for name, runs in sampled.items()} for i in (0, -1))
    assert starts["dense"] == starts["sparse"]
    assert all(dense > sparse for dense, sparse in zip(ends["dense"], ends["sparse"], strict=True))
    gain = {name: sum(ends[name]) - sum(starts[name]) for name in ends}
    assert gain["dense"] > 1.3 * gain["sparse"], sampled
