"""The simulated editor: exact without noise, unreliable at the stated rates with it."""

from spanwise.core.seeding import numpy_generator
from spanwise.feedback.scores import Sample
from spanwise.sim.annotator import EXACT, NoiseConfig
from spanwise.sim.edits import edit_answer
from spanwise.sim.habits import CLEAN, HABITS, write_answer
from spanwise.sim.oracle import judge, minimal_edit
from spanwise.sim.rewards import OracleSource
from spanwise.sim.world import make_items

ITEMS = make_items(150, seed=5, split="editing")


def answers(slips):
    generator = numpy_generator(5, "answers")
    return [write_answer(item.truth, generator, slips) for item in ITEMS]


def edits(slips, noise):
    generator = numpy_generator(5, "noise")
    return [edit_answer(item, text, generator, noise) for item, text in zip(ITEMS, answers(slips), strict=True)]


def test_without_noise_the_edit_is_the_oracles_and_has_no_error_left():
    seen = 0
    for item, text, pair in zip(ITEMS, answers(HABITS), edits(HABITS, EXACT), strict=True):
        if pair is None:
            assert minimal_edit(text, item.truth) in (text, "")
            continue
        seen += 1
        assert (pair.prompt, pair.passages, pair.original) == (item.record.prompt, item.record.passages, text)
        judgement = judge(pair.edited, item.truth)
        assert not judgement.errors
        assert not judgement.missing
        assert pair.spans
    assert seen > 100


def test_perfect_answers_need_no_edit_and_false_alarms_make_some():
    assert all(pair is None for pair in edits(CLEAN, EXACT))
    alarmed = [pair is not None for pair in edits(CLEAN, EXACT.model_copy(update={"false_alarm": 1.0}))]
    assert sum(alarmed) > 100


def test_an_editor_who_misses_everything_edits_nothing():
    assert all(pair is None for pair in edits(HABITS, EXACT.model_copy(update={"miss": 1.0})))


def test_the_default_noise_leaves_some_errors_in_edits():
    left = [
        len(judge(pair.edited, item.truth).errors)
        for item, pair in zip(ITEMS, edits(HABITS, NoiseConfig()), strict=True)
        if pair is not None
    ]
    assert 0.02 < sum(map(bool, left)) / len(left) < 0.4


def test_the_oracle_pays_the_true_score_whole_or_clause_by_clause():
    texts = ["", *answers(HABITS)[1:]]
    samples = [Sample(item.record.prompt, text, item.record.passages) for item, text in zip(ITEMS, texts, strict=True)]
    clauses, missing, whole = (
        [[score.value for score in scores.scores] for scores in OracleSource(ITEMS, pays).score(samples)]
        for pays in ("clauses", "missing", "answer")
    )
    for item, text, parts, rest, total in zip(ITEMS, texts, clauses, missing, whole, strict=True):
        assert sum(parts) + sum(rest) == sum(total) == judge(text, item.truth).quality
        assert len(rest) == len(total) == 1
    assert clauses[0] == []
    assert any(value < 0 for rest in missing for value in rest)
