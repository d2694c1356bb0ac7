import numpy as np
import pytest

from spanwise.evals.robustness import CANARY, PERTURBATIONS, PROBES, perturbed
from spanwise.feedback import Passage, PromptRecord
from spanwise.sim import CLEAN, judge, make_items, write_answer


def record(key="a", prompt="When was Kelholm built?", sentences=("Kelholm was built in 1720.",), **more):
    return PromptRecord(id=key, prompt=prompt, passages=(Passage(title="Kelholm", sentences=sentences),), **more)


@pytest.fixture
def two():
    other = PromptRecord(id="b", prompt="Who is Ada?", passages=(Passage(title="Ada", sentences=("Ada is a smith.",)),))
    return {"a": record(), "b": other}


@pytest.mark.parametrize("name", list(PERTURBATIONS))
def test_a_change_changes_and_leaves_the_original_alone(name, two):
    before = dict(two)
    changed = perturbed(two, name, seed=3)
    assert two == before
    assert "a" in changed
    assert changed["a"] != two["a"]
    assert perturbed(two, name, seed=3) == changed
    assert changed["a"].id == "a"


def test_names_change_wherever_they_stand(two):
    said = perturbed({"a": record(references=("In 1720 came Kelholm.",)), "b": two["b"]}, "renamed")
    assert "Kelholm" not in said["a"].model_dump_json()
    assert said["a"].passages[0].title in said["a"].references[0]
    assert "b" in said


def test_a_false_premise_is_false_and_needs_a_number(two):
    changed = perturbed(two, "false premise")
    assert list(changed) == ["a"]
    assert changed["a"].prompt.endswith(two["a"].prompt)
    assert "1720" not in changed["a"].prompt
    assert changed["a"].passages == two["a"].passages


def test_what_a_policy_reads_instead_of_the_passages_changes_as_well(two):
    short = two["a"].model_copy(update={"excerpt": (Passage(title="Kelholm", sentences=("1720.",)),)})
    changed = perturbed({"a": short, "b": two["b"]}, "instruction")["a"]
    assert CANARY in changed.read_passages[0].text


def test_prompts_without_passages_are_left_out_where_passages_change():
    alone = {"a": PromptRecord(id="a", prompt="Why?"), "b": PromptRecord(id="b", prompt="How?")}
    assert perturbed(alone, "distractor") == {}
    assert perturbed(alone, "instruction") == {}
    assert len(perturbed(alone, "pad")) == 2


@pytest.mark.parametrize("name", list(PROBES))
def test_in_the_simulated_world_no_spoilt_answer_is_better(name):
    items = make_items(20, seed=1, split="probe")
    answers = [" ".join(s for s in _answer(item)) for item in items]
    for number, item in enumerate(items):
        spoilt = PROBES[name].spoil(answers[number], item.record, answers[number - 1])
        if spoilt is None:
            continue
        assert judge(spoilt, item.truth).quality <= judge(answers[number], item.truth).quality


def _answer(item):
    return [write_answer(item.truth, np.random.default_rng(0), CLEAN)]
