"""Learnt weights of a mixture: those that made the preferences or scores, with intervals that hold them."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from spanwise.cli import app
from spanwise.core import ConfigError, DataError
from spanwise.feedback import (
    FeedbackRecord,
    Preference,
    Response,
    Sample,
    SegmentScore,
    SegmentScores,
    Unscored,
    write_records,
)
from spanwise.reward_models.fitting import weights_of_preferences, weights_of_scores
from spanwise.rewards import SourceWeight
from spanwise.text import Span

WORDS = ("good", "bad", "so")
TRUE = {"good": 0.8, "bad": -1.5, "so": 0.0}


class Counts:
    """A score for each time that a word stands in an answer."""

    category, density, version = "test", "token", "1"

    def __init__(self, name):
        self.name = name

    def score(self, samples):
        return [self._of(sample.response) for sample in samples]

    def _of(self, text):
        if "unreadable" in text:
            return SegmentScores(missing=Unscored("unreadable"))
        places = [k for k in range(len(text)) if text.startswith(self.name, k)]
        return SegmentScores(tuple(SegmentScore(Span(k, k + len(self.name)), 1.0) for k in places))


SOURCES = [Counts(word) for word in WORDS]
RULES = {word: SourceWeight() for word in WORDS}


def answers(generator, count):
    return [" ".join(generator.choice(WORDS, size=generator.integers(2, 7))) for _ in range(count)]


def worth(text):
    return sum(TRUE[word] * text.split().count(word) for word in WORDS)


def records(count=300):
    generator = np.random.default_rng(0)
    made = []
    for number in range(count):
        first, second = answers(generator, 2)
        chance = 1 / (1 + np.exp(worth(second) - worth(first)))
        winner = "first" if generator.random() < chance else "second"
        responses = tuple(Response(text=text, marked=False) for text in (first, second))
        pair = Preference(first=0, second=1, winner=winner)
        made.append(FeedbackRecord(id=str(number), prompt=f"q{number}", responses=responses, preferences=(pair,)))
    return made


def test_preferences_give_back_the_weights_that_made_them():
    learnt = weights_of_preferences(SOURCES, records(), RULES, resamples=200)
    for name, true in TRUE.items():
        one = learnt.weights[name]
        assert one.low < true < one.high
        assert one.low < one.weight < one.high
    assert learnt.weights["good"].tells
    assert learnt.weights["bad"].tells
    assert not learnt.weights["so"].tells
    assert learnt.agreement > learnt.agreement_of_equal
    assert learnt.items == 300


def test_scores_give_back_the_weights_that_made_them_whatever_is_added():
    generator = np.random.default_rng(1)
    samples = [Sample(f"q{k}", text) for k, text in enumerate(answers(generator, 150))]
    learnt = weights_of_scores(SOURCES, samples, [7.0 + worth(s.response) for s in samples], RULES, resamples=50)
    for name, true in TRUE.items():
        assert learnt.weights[name].weight == pytest.approx(true, abs=0.01)
    assert learnt.agreement > 0.999
    mixture = learnt.config(RULES)
    assert mixture.sources["bad"].weight == learnt.weights["bad"].weight


def test_centre_scale_and_aggregate_are_the_rules_own():
    generator = np.random.default_rng(2)
    samples = [Sample(f"q{k}", text) for k, text in enumerate(answers(generator, 80))]
    rules = {**RULES, "bad": SourceWeight(scale=0.5, aggregate="fixed", length=4.0)}
    learnt = weights_of_scores(SOURCES, samples, [worth(s.response) for s in samples], rules, resamples=20)
    assert learnt.weights["bad"].weight == pytest.approx(-1.5 / 2 * 4, abs=0.02)


def test_an_unscored_answer_teaches_nothing():
    responses = tuple(Response(text=text, marked=False) for text in ("unreadable good", "bad"))
    pair = Preference(first=0, second=1, winner="second")
    broken = FeedbackRecord(id="x", prompt="broken", responses=responses, preferences=(pair,))
    plain = weights_of_preferences(SOURCES, records(60), RULES, resamples=5)
    assert weights_of_preferences(SOURCES, [*records(60), broken], RULES, resamples=5) == plain


def test_the_command_learns_them(tmp_path):
    write_records(tmp_path / "data.jsonl", records(80))
    rules = {name: {"kind": "pattern", "pattern": name} for name in ("good", "bad")}
    values = {"data": [str(tmp_path / "data.jsonl")], "sources": rules, "mixture": {"sources": {"good": {}, "bad": {}}}}
    (tmp_path / "weights.yaml").write_text(json.dumps(values))
    result = CliRunner().invoke(app, ["reward", "weights", str(tmp_path / "weights.yaml"), "resamples=100", "--json"])
    assert result.exit_code == 0, result.output
    learnt = json.loads(result.stdout)
    # a forbidden pattern scores -1 at each match
    assert learnt["weights"]["bad"]["low"] < -TRUE["bad"] < learnt["weights"]["bad"]["high"]
    assert learnt["weights"]["good"]["weight"] < 0
    assert learnt["items"] == 80


def test_what_cannot_be_learnt_is_said():
    with pytest.raises(DataError, match="two questions at least, there are 1"):
        weights_of_preferences(SOURCES, records(1), RULES)
    with pytest.raises(DataError, match="Source 'never' says the same of every answer"):
        weights_of_preferences([*SOURCES, Counts("never")], records(20), {**RULES, "never": SourceWeight()})


@pytest.mark.parametrize(("names", "words"), [
    (("good", "bad"), "'so' has no entry under sources"), ((*WORDS, "nope"), "sources.nope: there is no such"),
])  # fmt: skip
def test_sources_and_rules_of_other_names_are_told(names, words):
    with pytest.raises(ConfigError, match=words):
        weights_of_preferences(SOURCES, records(4), {name: SourceWeight() for name in names})
