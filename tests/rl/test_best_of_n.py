"""Best of n: the highest total wins, the first of equals, and what could not be scored never against what could."""

import torch
from doubles.rl_world import ScriptedSource, pay_each, pipeline_of, small_trainer

from spanwise.feedback.scores import SegmentScores, Unscored
from spanwise.rl.evaluation import best_of


def picky(text):
    return pay_each(text) if "bad" not in text else SegmentScores(missing=Unscored("it says bad"))


def test_the_best_scored_response_of_each_prompt_is_kept_whole(tmp_path):
    trainer = small_trainer(
        tmp_path,
        pipeline=pipeline_of(ScriptedSource(picky), missing="mask"),
        rollout={"prompts_per_step": 5, "samples_per_prompt": 4},
    )
    rollout = trainer.rollout(1)
    kept = best_of(rollout, 4)
    assert len(kept.samples) == 5
    for prompt in range(5):
        rows = range(4 * prompt, 4 * prompt + 4)
        scored = [row for row in rows if not rollout.scores.dropped[row]]
        best = max(scored or rows, key=lambda row: (float(rollout.scores.total[row].sum()), -row))
        assert kept.samples[prompt] == rollout.samples[best]
        assert kept.tokens[prompt] == rollout.tokens[best]
        assert torch.equal(kept.responses.ids[prompt], rollout.responses.ids[best])
        assert torch.equal(kept.scores.total[prompt], rollout.scores.total[best])
        assert torch.equal(kept.scores.shares["script"][prompt], rollout.scores.shares["script"][best])
        assert kept.scores.raw[prompt] == rollout.scores.raw[best]


def test_evaluation_may_judge_the_best_of_several(tmp_path):
    one, many = (
        small_trainer(tmp_path / str(n), evaluation={"decoding": "sample", "best_of": n})._evaluate(0)[0]
        for n in (1, 16)
    )
    assert many["eval/reward/total"] > one["eval/reward/total"]
