"""The recipe of Xu et al. 2024: AlpacaFarm's names, layout and template, and every step at toy size."""

import json
from pathlib import Path

import pytest
from doubles.models import tiny_llama

from recipes.xu2024 import toy
from recipes.xu2024.prepare import demonstration, preference, prepare, prompt
from spanwise.core.errors import DataError
from spanwise.feedback import EditPair, PromptRecord, load_or_raise
from spanwise.models import Policy
from spanwise.reward_models import TokenRewardConfig
from spanwise.rl import RLConfig
from spanwise.setup.checks import load_any
from spanwise.training import SFTRunConfig

RECIPE = Path(__file__).parents[2] / "recipes" / "xu2024"
PLAIN = (
    "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n"
    "### Instruction:\n{instruction}\n\n### Response:"
)
WITH_INPUT = (
    "Below is an instruction that describes a task, paired with an input that provides further context. Write a "
    "response that appropriately completes the request.\n\n### Instruction:\n{instruction}\n\n### Input:\n{input}\n\n"
    "### Response:"
)
"""AlpacaFarm's v0_inputs_noinputs.json."""


def test_every_step_runs_from_alpacafarms_layout(tmp_path):
    toy.run(tmp_path)
    edits = load_or_raise(tmp_path / "data" / "edits.jsonl", EditPair)
    assert len(edits) == toy.SIZES["alpaca_human_preference.json"] - toy.HELDOUT
    assert all(toy.WRONG in pair.original and toy.RIGHT in pair.edited for pair in edits)
    for name in ("rl", "mended", "sequence_rl"):
        metrics = [json.loads(line) for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]
        assert any("reward/total" in row for row in metrics)
    assert (tmp_path / "win_rate" / "leaderboard.csv").is_file()
    assert (tmp_path / "report.html").is_file()


@pytest.mark.parametrize("given", ["", "Ada is a mason."])
def test_the_policy_reads_alpacas_template_to_the_letter(given):
    policy = Policy(*tiny_llama())
    policy.use_prompts(SFTRunConfig.load(RECIPE / "sft.yaml").prompt)
    record = prompt({"instruction": "Say where she lives.", "input": given}, "1")
    ids = policy.encode_prompt(record)
    template = WITH_INPUT if given else PLAIN
    written = template.format(instruction=record.prompt, input=given)
    assert policy.tokenizer.decode(ids) == f"<s>{written}"
    assert ids == policy.tokenizer(written).input_ids


def test_settings_are_alpacafarms():
    rl = RLConfig.load(RECIPE / "rl.yaml")
    assert rl.rollout.responses_per_step() == 512
    assert (rl.update.minibatch_size, rl.update.epochs, rl.ppo.gae_lambda, rl.kl.coef) == (256, 2, 1.0, 0.02)
    assert (rl.rollout.max_prompt_tokens, rl.sampling.max_new_tokens) == (192, 300)
    reward = TokenRewardConfig.load(RECIPE / "reward.yaml")
    assert (reward.loss.name, reward.loss.divide_by, reward.merge_gap, reward.gap_anchor) == (
        "edited",
        "length",
        0,
        "none",
    )
    assert len([load_any(path) for path in sorted(RECIPE.glob("*.yaml")) if path.stem not in ("editor", "judge")]) == 8


def test_rows_become_records():
    row = {"instruction": "Say it.", "input": "", "output_1": "A", "output_2": "B", "preference": 2}
    record = preference(row, "7")
    assert (record.preferences[0].winner, [r.text for r in record.responses]) == ("second", ["A", "B"])
    assert demonstration({"instruction": "Say it.", "input": "", "output": " "}, "1") is None


def test_long_prompts_are_left_out_of_rl_and_kept_for_judging(tmp_path):
    toy.write_upstream(tmp_path / "upstream")
    model, tokenizer = tiny_llama()
    for saved in (model, tokenizer):  # as from the Hub: it does not say how it reads prompts
        saved.save_pretrained(tmp_path / "llama")
    policy = Policy(model, tokenizer)
    policy.use_prompts(SFTRunConfig.load(RECIPE / "sft.yaml").prompt)

    def prepared(most):
        prepare(
            tmp_path / "upstream",
            tmp_path / str(most),
            policy=str(tmp_path / "llama"),
            max_prompt_tokens=most,
            heldout=6,
        )
        return [
            load_or_raise(tmp_path / str(most) / f"{name}prompts.jsonl", PromptRecord) for name in ("", "evaluation_")
        ]

    asked, judged = prepared(1000)
    lengths = sorted(len(policy.encode_prompt(record)) for record in asked)
    fewer, as_many = prepared(lengths[3])
    assert len(fewer) == sum(length <= lengths[3] for length in lengths) < len(asked)
    assert len(as_many) == len(judged) == 3


def test_a_missing_or_odd_file_is_named(tmp_path):
    toy.write_upstream(tmp_path)
    Policy(*tiny_llama()).save(tmp_path / "llama")
    (tmp_path / "alpaca_instructions" / "val.json").write_text('{"rows": []}')
    with pytest.raises(DataError, match=r"val.json: is no list of rows"):
        prepare(tmp_path, tmp_path / "out", policy=str(tmp_path / "llama"), max_prompt_tokens=192)
    (tmp_path / "alpaca_instructions" / "val.json").unlink()
    with pytest.raises(DataError, match=r"val.json: is not there; `python -m recipes.xu2024.fetch"):
        prepare(tmp_path, tmp_path / "out", policy=str(tmp_path / "llama"), max_prompt_tokens=192)
