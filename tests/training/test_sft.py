import json
import math

import pytest
import torch
import yaml
from doubles import models as doubles
from transformers import AutoModelForCausalLM, AutoTokenizer

from spanwise.core.errors import ConfigError, DataError, SpanwiseError
from spanwise.core.runs import RunFolder
from spanwise.feedback.prompts import DemonstrationRecord
from spanwise.models import Policy
from spanwise.training.config import SFTConfig
from spanwise.training.optimizer import learning_rate
from spanwise.training.sft import train_sft

CITIES = ("Oslo", "Brack", "Korr", "Veld")
RECORDS = [
    DemonstrationRecord(id=f"r{number}", prompt=f"where was {name} born?", completion=f"{name} was born in {city}.")
    for number, (name, city) in enumerate((name, city) for name in ("Ada", "Ines", "the painter") for city in CITIES)
]


def rows(run):
    return [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]


def train(policy, tmp_path, *, records=RECORDS, heldout=RECORDS[:3], score=None, **settings):
    run = RunFolder(tmp_path / "run")
    defaults = {"epochs": 1, "batch_size": 4, "learning_rate": 1e-2}
    return train_sft(policy, records, heldout, config=SFTConfig(**defaults | settings), run=run, score=score), run


def weights(policy):
    return torch.cat([parameter.detach().flatten() for parameter in policy.model.parameters()])


@pytest.mark.parametrize("family", [doubles.tiny_llama, doubles.tiny_gpt2, doubles.tiny_t5])
def test_one_demonstration_is_learnt_by_heart(family, tmp_path):
    policy = Policy(*family())
    record = DemonstrationRecord(prompt="where was Ada Veld born?", completion="Ada Veld was born in Oslo.")
    result, run = train(policy, tmp_path, records=[record] * 60, heldout=[record], batch_size=1)
    best = Policy.load(result.checkpoint)
    answer = best.greedy(best.encode_prompts([record.model_input]), 40)
    assert best.decode(answer.token_lists()[0]) == record.completion
    assert answer.truncated.tolist() == [False]
    assert rows(run)[-1]["sft/loss"] < 0.1 < 2 < rows(run)[0]["sft/loss"]


def test_loss_is_that_of_huggingface_with_masked_labels(tmp_path):
    policy = Policy(*doubles.tiny_llama())
    records = RECORDS[:4]
    losses, tokens = 0.0, 0
    for record in records:
        prompt = policy.encode_prompt(record.model_input)
        response = policy.encode_response(record.completion)
        labels = torch.tensor([[-100] * len(prompt) + response])
        with torch.no_grad():
            loss = policy.model(input_ids=torch.tensor([prompt + response]), labels=labels).loss
        losses, tokens = losses + float(loss) * len(response), tokens + len(response)
    _, run = train(policy, tmp_path, records=records)
    assert rows(run)[0]["sft/loss"] == pytest.approx(losses / tokens, rel=1e-5)


def test_loss_on_all_tokens_counts_the_prompt_as_well(tmp_path):
    policy = Policy(*doubles.tiny_llama())
    record = RECORDS[0]
    ids = torch.tensor([policy.encode_prompt(record.model_input) + policy.encode_response(record.completion)])
    with torch.no_grad():
        expected = float(policy.model(input_ids=ids, labels=ids).loss)
    _, run = train(policy, tmp_path, records=[record], loss_on="all")
    assert rows(run)[0]["sft/loss"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("family", [doubles.tiny_llama, doubles.tiny_t5])
def test_micro_batches_change_nothing(family, tmp_path):
    trained = []
    for tokens in (1, 90, 10_000):
        policy = Policy(*family())
        train(policy, tmp_path / str(tokens), micro_batch_tokens=tokens, learning_rate=1e-3, decay="constant")
        trained.append(weights(policy))
    torch.testing.assert_close(trained[1], trained[0], atol=2e-5, rtol=1e-4)
    torch.testing.assert_close(trained[2], trained[0], atol=2e-5, rtol=1e-4)


def test_the_seed_decides_the_run(tmp_path):
    state = torch.get_rng_state()
    same, again, other = (
        rows(train(Policy(*doubles.tiny_llama()), tmp_path / str(number), seed=seed)[1])
        for number, seed in enumerate((0, 0, 1))
    )
    assert same == again
    assert same != other
    assert torch.equal(torch.get_rng_state(), state)


def test_every_demonstration_is_read_once_per_epoch(tmp_path, monkeypatch):
    policy = Policy(*doubles.tiny_llama())
    read = []
    whole = policy.hidden

    def watched(prompts, ids, mask):
        if torch.is_grad_enabled():
            read.extend(tuple(row[kept].tolist()) for row, kept in zip(ids, mask, strict=True))
        return whole(prompts, ids, mask)

    monkeypatch.setattr(policy, "hidden", watched)
    train(policy, tmp_path, epochs=2, batch_size=5)
    expected = [tuple(policy.encode_response(record.completion)) for record in RECORDS]
    assert sorted(read) == sorted(expected * 2)


def test_the_best_checkpoint_is_kept_by_held_out_loss(tmp_path):
    policy = Policy(*doubles.tiny_llama())
    opposite = [record.model_copy(update={"completion": "Ada Ada Ada Ada"}) for record in RECORDS[:3]]
    result, run = train(policy, tmp_path, heldout=opposite, epochs=6, evaluations_per_epoch=3)
    losses = {row["step"]: row["heldout/loss"] for row in rows(run) if "heldout/loss" in row}
    assert list(losses) == list(range(1, 19))
    assert result.step == min(losses, key=losses.get) < 18
    assert result.heldout_loss == losses[result.step]
    again, check = train(Policy.load(result.checkpoint), tmp_path / "again", heldout=opposite, learning_rate=1e-30)
    assert again.heldout_loss == pytest.approx(result.heldout_loss, rel=1e-5)
    assert result.checkpoint == run.path / "checkpoints" / "best"
    assert check.path != run.path


def test_the_best_checkpoint_is_kept_by_a_score_when_one_is_given(tmp_path):
    scores = iter([0.2, 0.9, math.nan, 0.9])
    result, run = train(Policy(*doubles.tiny_llama()), tmp_path, epochs=4, score=lambda policy: next(scores))
    assert (result.step, result.score) == (6, 0.9)
    assert [row["heldout/score"] for row in rows(run) if "heldout/score" in row] == [0.2, 0.9, None, 0.9]


def test_the_checkpoint_is_a_plain_huggingface_folder_and_the_config_is_beside_it(tmp_path):
    result, run = train(Policy(*doubles.tiny_llama()), tmp_path, seed=7)
    model = AutoModelForCausalLM.from_pretrained(result.checkpoint)
    tokenizer = AutoTokenizer.from_pretrained(result.checkpoint)
    assert model.generate(**tokenizer("Oslo", return_tensors="pt", return_token_type_ids=False), max_new_tokens=2).shape
    saved = yaml.safe_load((run.path / "config.yaml").read_text())
    assert (saved["seed"], saved["warmup_ratio"], saved["batch_size"]) == (7, 0.1, 4)


def test_bfloat16_arithmetic_keeps_float32_weights_and_learns(tmp_path):
    policy = Policy(*doubles.tiny_llama())
    result, run = train(policy, tmp_path, epochs=8, dtype="bfloat16")
    assert {parameter.dtype for parameter in policy.model.parameters()} == {torch.float32}
    assert result.heldout_loss < 0.5 * rows(run)[0]["sft/loss"]


def test_learning_rate_rises_and_falls():
    config = SFTConfig(learning_rate=1.0, warmup_ratio=0.2)
    rates = [learning_rate(config, step=step, steps=10) for step in range(11)]
    assert rates == pytest.approx([1 / 3, 2 / 3, 1, 7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8, 0])
    flat = SFTConfig(learning_rate=1.0, warmup_ratio=0.0, decay="constant")
    assert {learning_rate(flat, step=step, steps=10) for step in range(10)} == {1.0}


def test_steps_are_known_before_the_run(tmp_path):
    config = SFTConfig(epochs=2, batch_size=5)
    _, run = train(Policy(*doubles.tiny_llama()), tmp_path, epochs=2, batch_size=5)
    assert config.steps(len(RECORDS)) == rows(run)[-1]["step"] == 6


@pytest.mark.parametrize(
    ("changes", "settings", "message"),
    [
        ({"completion": " \n"}, {}, "Demonstration r1: the completion is blank"),
        ({}, {"max_prompt_tokens": 10}, r"Demonstration r0: the prompt has \d+ tokens, the limit is 10; .*max_prompt"),
        ({"completion": "Ada " * 30}, {"max_response_tokens": 25}, r"Demonstration r1: the response has 3\d tokens"),
        (
            {"completion": "Ada " * 300},
            {"max_response_tokens": 500},
            r"Demonstration r1: \d+ tokens do not fit the model's window of 256",
        ),
    ],
)
def test_demonstrations_that_do_not_fit_are_named_before_any_work(tmp_path, changes, settings, message):
    records = [RECORDS[0], RECORDS[1].model_copy(update=changes)]
    with pytest.raises(DataError, match=message):
        train(Policy(*doubles.tiny_gpt2()), tmp_path, records=records, **settings)
    assert not (tmp_path / "run" / "config.yaml").exists()


def test_no_demonstrations_are_refused(tmp_path):
    with pytest.raises(DataError, match="No held-out demonstrations"):
        train(Policy(*doubles.tiny_llama()), tmp_path, heldout=[])
    with pytest.raises(DataError, match="No demonstrations"):
        train(Policy(*doubles.tiny_llama()), tmp_path, records=[])


def test_an_encoder_decoder_policy_cannot_learn_its_prompt(tmp_path):
    with pytest.raises(ConfigError, match="loss_on=all needs a causal policy"):
        train(Policy(*doubles.tiny_t5()), tmp_path, loss_on="all")


def test_a_gradient_that_is_not_finite_stops_the_run(tmp_path):
    policy = Policy(*doubles.tiny_llama())
    with torch.no_grad():
        policy.model.get_output_embeddings().weight[3] = math.inf
    with pytest.raises(SpanwiseError, match="Step 1: the gradient is not finite"):
        train(policy, tmp_path)
