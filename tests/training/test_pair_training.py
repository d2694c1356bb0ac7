"""Training on edit pairs: against a plain computation, micro-batches, left-out pairs, and what plain DPO does."""

import json

import pytest
import torch
from doubles import models as doubles

from spanwise.core.errors import DataError
from spanwise.core.runs import RunFolder
from spanwise.feedback.edits import EditPair
from spanwise.feedback.prompts import DemonstrationRecord, build_prompt
from spanwise.models import Policy
from spanwise.training.config import DPOConfig, SFTConfig
from spanwise.training.dpo import PairObjective, pair_examples, train_dpo
from spanwise.training.loop import training_steps
from spanwise.training.sft import train_sft

NAMES = ("Ada", "Ines", "the painter", "the mason")


def pair(name, **fields):
    values = {
        "prompt": f"where was {name} born?",
        "original": f"{name} was born in Brack, and she worked as a mason. It is not said when she died.",
        "edited": f"{name} was born in Oslo, and she worked as a mason. It is not said when she died.",
    }
    return EditPair(id=name, **values | fields)


PAIRS = [pair(name) for name in NAMES]


def config(**settings):
    return DPOConfig(**{"batch_size": 4, "learning_rate": 1e-3, "warmup_ratio": 0.0, **settings})


def answer_logprob(policy, prompt, answer):
    """The plain way: all logits of one sequence."""
    before, after = policy.encode_prompt(build_prompt(prompt)), policy.encode_response(answer)
    with torch.no_grad():
        logits = policy.model(input_ids=torch.tensor([before + after])).logits[0]
    table = logits.log_softmax(-1)
    return sum(float(table[len(before) - 1 + place, token]) for place, token in enumerate(after))


@pytest.mark.parametrize("family", [doubles.tiny_llama, doubles.tiny_gpt2, doubles.tiny_t5])
def test_pairs_are_learnt_by_every_family(family, tmp_path):
    policy = Policy(*family())
    run = RunFolder(tmp_path)
    result = train_dpo(policy, PAIRS, PAIRS, config=config(epochs=6), run=run)
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert rows[0]["dpo/edited_logratio"] == pytest.approx(0.0, abs=1e-4)
    assert result.heldout["accuracy"] == 1.0
    assert result.heldout["loss"] < 0.69 < rows[0]["dpo/loss"]
    assert result.checkpoint == run.checkpoint("best")
    again = PairObjective(Policy.load(result.checkpoint), pair_examples(policy, PAIRS, config())[0], config())
    assert again.metrics(range(4))["edited_logratio"] == pytest.approx(0.0, abs=1e-4)


def test_log_ratios_are_those_of_the_whole_answers(tmp_path):
    policy, start = Policy(*doubles.tiny_llama()), Policy(*doubles.tiny_llama())
    examples, _ = pair_examples(policy, PAIRS, config())
    training = PairObjective(policy, examples, config())
    list(training_steps(training))
    found = training.metrics(range(4))
    for side in ("edited", "original"):
        now, then = (
            sum(answer_logprob(model, one.prompt, getattr(one, side)) for one in PAIRS) for model in (policy, start)
        )
        assert found[f"{side}_logratio"] == pytest.approx((now - then) / 4, abs=1e-3)
        assert abs(found[f"{side}_logratio"]) > 0.01


def test_micro_batches_change_nothing():
    results = []
    for tokens in (1, 100_000):
        policy = Policy(*doubles.tiny_llama())
        settings = config(micro_batch_tokens=tokens)
        training = PairObjective(policy, pair_examples(policy, PAIRS, settings)[0], settings)
        results.append(next(metrics for _, metrics in training_steps(training)))
    assert results[0] == pytest.approx(results[1], rel=1e-4, abs=1e-5)


def test_what_cannot_be_trained_on_is_counted(tmp_path):
    policy = Policy(*doubles.tiny_llama())
    bad = [
        pair("Ada", edited=PAIRS[0].original),
        pair("Ada", edited=" "),
        pair("Ada", prompt=""),
        pair("Ada", edited="Oslo " * 200),
        pair("Ada", prompt="where " * 200),
    ]
    settings = config(max_response_tokens=100, max_prompt_tokens=100)
    examples, left_out = pair_examples(policy, [*PAIRS, *bad], settings)
    assert len(examples) == 4
    assert left_out == {
        "identical": 1,
        "empty": 1,
        "no prompt": 1,
        "response longer than max_response_tokens": 1,
        "prompt longer than max_prompt_tokens": 1,
    }
    with pytest.raises(DataError, match="No held-out pair can be learned from: identical 1, empty 1, no prompt 1"):
        train_dpo(policy, PAIRS, bad, config=settings, run=RunFolder(tmp_path))


def test_the_changed_tokens_are_those_of_the_changed_word():
    policy = Policy(*doubles.tiny_llama())
    (example,), _ = pair_examples(policy, PAIRS[:1], config())
    edit = example.edit
    for ids, changed, word in (
        (edit.original, edit.original_changed, "Brack"),
        (edit.edited, edit.edited_changed, "Oslo"),
    ):
        kept = [token for token, flag in zip(ids, changed, strict=True) if flag]
        assert word in policy.decode(kept)
        assert len(kept) < len(ids) / 3
    assert edit.original[-1] == edit.edited[-1] == policy.eos_id


@pytest.fixture(scope="module", name="tuned")
def policy_that_says_originals(tmp_path_factory):
    """A policy that was fine-tuned on originals and edits alike, so that both are likely at the start."""
    policy = Policy(*doubles.tiny_llama())
    records = [
        DemonstrationRecord(id=one.id, prompt=one.prompt, completion=text)
        for one in PAIRS
        for text in (one.original, one.edited)
    ]
    settings = SFTConfig(epochs=40, batch_size=8, learning_rate=1e-2)
    folder = tmp_path_factory.mktemp("sft")
    return train_sft(policy, records, records, config=settings, run=RunFolder(folder)).checkpoint


def fall_of_the_edit(tuned, **loss):
    policy = Policy.load(tuned)
    settings = config(epochs=25, loss={"penalty": 0.0, "beta": 0.5, **loss})
    training = PairObjective(policy, pair_examples(policy, PAIRS, settings)[0], settings)
    list(training_steps(training))
    found = training.metrics(range(4))
    assert found["accuracy"] == 1.0
    return found["edited_logratio"]


def test_plain_dpo_makes_edits_near_their_originals_less_likely_and_a_positive_term_does_not(tuned):
    plain = fall_of_the_edit(tuned)
    assert plain < -0.5
    assert fall_of_the_edit(tuned, penalty=5.0) > plain / 5
    assert fall_of_the_edit(tuned, likelihood=1.0) > plain / 5
