"""The run as a whole: what it leaves behind, that it repeats itself, and what it refuses before it starts."""

import json
import re
from pathlib import Path

import pytest
import torch
from doubles.rl_world import PROMPTS, ScriptedSource, pay_each, pipeline_of, small_trainer, word_policy

from spanwise.core.errors import ConfigError, DataError, ScoringError
from spanwise.feedback.prompts import PromptRecord
from spanwise.feedback.scores import SegmentScores, Unscored
from spanwise.models.policy import Policy
from spanwise.rl.config import RLConfig


def rows(path, name):
    return [json.loads(line) for line in (path / name).read_text().splitlines()]


def without_times(metrics):
    return [{k: v for k, v in row.items() if not k.startswith("time/")} for row in metrics]


def test_a_run_leaves_config_metrics_samples_and_checkpoints(tmp_path):
    trainer = small_trainer(tmp_path, steps=4, evaluation={"every": 2})
    result = trainer.run()
    metrics = rows(tmp_path, "metrics.jsonl")
    assert [row["step"] for row in metrics] == [0, 1, 2, 3, 4]
    evaluated = {row["step"]: row["eval/reward/total"] for row in metrics if "eval/reward/total" in row}
    assert list(evaluated) == [0, 2, 4]
    assert (result.first_reward, result.last_reward) == (evaluated[0], evaluated[4])
    assert result.best_reward == evaluated[result.best_step] == max(evaluated.values())
    assert "max_new_tokens: 8" in (tmp_path / "config.yaml").read_text()
    last = Policy.load(tmp_path / "checkpoints" / "last")
    now = trainer.parts.policy.model.state_dict()
    assert all(torch.equal(now[n], p) for n, p in last.model.state_dict().items())


def test_sample_rows_hold_rewards_token_by_token(tmp_path):
    sources = [ScriptedSource(pay_each), ScriptedSource(lambda t: pay_each(t, word="bad"), "other")]
    small_trainer(tmp_path, steps=1, pipeline=pipeline_of(*sources)).run()
    samples = rows(tmp_path, "samples.jsonl")
    assert [row["step"] for row in samples] == [0, 0, 1, 1]
    for row in samples:
        lengths = {len(row["tokens"]), len(row["token_scores"]), len(row["kl"]), *map(len, row["shares"].values())}
        assert len(lengths) == 1
        assert set(row["shares"]) == {"script", "other"}
        assert row["total"] == pytest.approx(sum(map(sum, row["shares"].values())))
        assert row["total"] == pytest.approx(
            row["response"].split().count("good") + row["response"].split().count("bad")
        )
        assert "".join(t for t in row["tokens"] if not t.startswith("<")) == row["response"]
    assert all(kl == pytest.approx(0, abs=1e-5) for row in samples[:2] for kl in row["kl"])


def test_the_best_checkpoint_is_the_policy_of_the_best_evaluation(tmp_path):
    # Paid for "bad" only while it is evaluated first: any training on "good" makes later evaluations worse.
    trainer = small_trainer(tmp_path, steps=1)
    start = {n: p.clone() for n, p in trainer.parts.policy.model.state_dict().items()}
    rewards = iter([5.0, 1.0])

    def scripted(_step):
        return {"eval/reward/total": next(rewards)}, []

    trainer._evaluate = scripted
    result = trainer.run()
    assert (result.best_step, result.best_reward, result.last_reward) == (0, 5.0, 1.0)
    best = Policy.load(tmp_path / "checkpoints" / "best").model.state_dict()
    assert all(torch.equal(start[n], p) for n, p in best.items())


def test_the_same_seed_gives_the_same_run_and_another_seed_another(tmp_path):
    runs = {}
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        torch.manual_seed(hash(name) % 1000)  # the global generator must not matter
        trainer = small_trainer(tmp_path / name, seed=seed)
        trainer.run()
        runs[name] = without_times(rows(tmp_path / name, "metrics.jsonl"))
    assert runs["a"] == runs["b"]
    assert runs["a"] != runs["c"]


def test_the_global_generator_is_left_alone(tmp_path):
    trainer = small_trainer(tmp_path, steps=1)
    before = torch.get_rng_state()
    trainer.run()
    assert torch.equal(torch.get_rng_state(), before)


def test_dropout_stays_off(tmp_path):
    trainer = small_trainer(tmp_path, steps=1)
    trainer.run()
    assert not any(m.training for model in (trainer.parts.policy.model, trainer.value_model) for m in model.modules())


def test_adaptive_kl_moves_the_coefficient_and_fixed_does_not(tmp_path):
    adaptive = small_trainer(tmp_path / "a", kl={"coef": 0.1, "target": 1e-3, "horizon": 8})
    adaptive.run()
    coefficients = [row["kl/coef"] for row in rows(tmp_path / "a", "metrics.jsonl")[1:]]
    # Before any update KL is 0 (up to rounding), so the first step lowers the weight by a fifth.
    assert coefficients == pytest.approx([0.1, 0.08], rel=1e-2)
    assert adaptive.kl.coef == pytest.approx(0.096, rel=1e-2)
    fixed = small_trainer(tmp_path / "f", kl={"coef": 0.1})
    fixed.run()
    assert fixed.kl.coef == 0.1


def test_a_step_in_which_every_response_was_dropped_is_counted_and_changes_nothing(tmp_path):
    mute = ScriptedSource(lambda _text: SegmentScores(missing=Unscored("out of order")))
    trainer = small_trainer(tmp_path, pipeline=pipeline_of(mute, missing="mask"))
    before = {n: p.clone() for n, p in trainer.parts.policy.model.state_dict().items()}
    metrics = trainer.step(1)
    assert metrics["reward/dropped"] == 1
    assert "policy/loss" not in metrics
    assert all(torch.equal(before[n], p) for n, p in trainer.parts.policy.model.state_dict().items())


def test_an_unscored_response_stops_the_run_where_the_mixture_says_so(tmp_path):
    mute = ScriptedSource(lambda _text: SegmentScores(missing=Unscored("out of order")))
    with pytest.raises(ScoringError, match="out of order"):
        small_trainer(tmp_path, pipeline=pipeline_of(mute)).step(1)


def test_a_policy_that_ends_every_answer_at_once_can_be_trained_on(tmp_path):
    policy = word_policy()
    with torch.no_grad():
        policy.model.lm_head.weight.zero_()
        policy.model.lm_head.weight[2] = 1.0
        policy.model.model.norm.weight.fill_(100.0)
    trainer = small_trainer(tmp_path, policy=policy, sampling={"max_new_tokens": 3})
    metrics = trainer.step(1)
    assert metrics["response/empty"] > 0
    assert metrics["reward/total"] == pytest.approx(metrics["reward/script"])
    assert all(torch.isfinite(p).all() for p in trainer.parts.policy.model.parameters())


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"steps": 2, "value_warmup_steps": 2}, "value_warmup_steps=2"),
        ({"update": {"minibatch_size": 9}}, "minibatch_size=9 exceeds the 8 responses"),
        ({"compat": {"padding_leak": True}}, "compat"),
        ({"ppo": {"gae_lambda": 1.5}}, "ppo.gae_lambda"),
        ({"kl": {"estimator": "k4"}}, "kl.estimator"),
        ({"kl": {"coef": 0, "target": 3.0}}, "kl.target multiplies kl.coef"),
        ({"sampling": {"temperatur": 1.0}}, "did you mean sampling.temperature"),
    ],
)
def test_bad_settings_are_refused_with_their_name(tmp_path, settings, words):
    with pytest.raises(ConfigError, match=re.escape(words)):
        small_trainer(tmp_path, **settings)


def test_prompts_that_do_not_fit_are_refused_before_the_run(tmp_path):
    long = [*PROMPTS, PromptRecord(id="long", prompt="sun " * 60)]
    with pytest.raises(DataError, match=r"prompts, record 9 \(id 'long'\): 6\d tokens, there is room for 56"):
        small_trainer(tmp_path, prompts=long)
    with pytest.raises(DataError, match="prompts: no prompts"):
        small_trainer(tmp_path, prompts=[])


def test_a_source_may_not_take_a_name_of_the_log(tmp_path):
    with pytest.raises(ConfigError, match="'total'"):
        small_trainer(tmp_path, pipeline=pipeline_of(ScriptedSource(pay_each, "total")))


def documented_keys():
    text = (Path(__file__).parents[2] / "docs" / "reference" / "algorithms.md").read_text()
    table = text.partition("## Metrics")[2].partition("## Samples")[0]
    return set(re.findall(r"^\| `(.+?)` \|", table, flags=re.MULTILINE))


def test_documented_metrics_are_the_logged_ones(tmp_path):
    small_trainer(tmp_path / "reward", steps=2).run()
    moody = ScriptedSource(lambda t: SegmentScores(missing=Unscored("not now")) if len(t) % 2 else pay_each(t))
    pipeline = pipeline_of(moody, missing="mask")
    filtered = {"kl": {"where": "loss"}, "ppo": {"max_probability": 0.9}}
    small_trainer(tmp_path / "loss", steps=1, pipeline=pipeline, **filtered).run()
    both = [*rows(tmp_path / "reward", "metrics.jsonl"), *rows(tmp_path / "loss", "metrics.jsonl")]
    logged = {key for row in both for key in row} - {"step"}
    named = {"reward/script": "reward/<source>", "unscored/script": "unscored/NAME"}
    plain = {named.get(key, key) for key in (key.removeprefix("eval/") for key in logged)}
    assert plain == documented_keys()


def test_every_setting_has_a_sentence():
    def undocumented(model, prefix=""):
        for name, field in model.model_fields.items():
            section = field.annotation if hasattr(field.annotation, "model_fields") else None
            if section:
                yield from undocumented(section, f"{prefix}{name}.")
            elif not field.description:
                yield f"{prefix}{name}"

    assert list(undocumented(RLConfig)) == []
