"""Shares of one score: exact where the score is a sum over the parts, and always summing to the score."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanwise.core import ConfigError
from spanwise.feedback import Sample, SegmentScore, SegmentScores, Unscored
from spanwise.rewards.signals import AttributionConfig, LeaveOneOut
from spanwise.rewards.sources import foreign_sources
from spanwise.text import Span

CONFIG = AttributionConfig(of="whole", density="sentence")


class Whole:
    """A score for a whole answer by a function of its text."""

    name, category, density, version = "whole", "quality", "sequence", "1"

    def __init__(self, function):
        self.function = function

    def score(self, samples):
        return [
            SegmentScores((SegmentScore(Span(0, len(sample.response)), self.function(sample.response)),))
            for sample in samples
        ]


def shares(function, text, density="sentence"):
    source = LeaveOneOut("shares", CONFIG.model_copy(update={"density": density}), Whole(function))
    (scores,) = source.score([Sample("q", text)])
    return [(score.span.of(text).strip(), score.value) for score in scores.scores]


def test_of_a_sum_each_part_gets_what_it_earns():
    text = "A good day. A bad day. A day. A good, good day."
    assert shares(lambda t: float(t.count("good") - 2 * t.count("bad")), text) == [
        ("A good day.", 1.0), ("A bad day.", -2.0), ("A day.", 0.0), ("A good, good day.", 2.0),
    ]  # fmt: skip


def test_what_no_part_earns_goes_to_all_alike():
    assert shares(lambda t: 3.0 + t.count("bad"), "A bad day. A day. A day.") == [
        ("A bad day.", 2.0), ("A day.", 1.0), ("A day.", 1.0),
    ]  # fmt: skip


@given(st.lists(st.sampled_from(["A good day.", "A bad day!", "So it was.", "Is it?"]), min_size=1, max_size=6))
def test_the_shares_sum_to_the_score_whatever_it_is(sentences):
    def function(text):
        return len(text) ** 1.5 - 7.0 * text.count("bad") ** 2

    text = " ".join(sentences)
    for density in ("sentence", "sub-sentence", "token"):
        assert sum(value for _, value in shares(function, text, density)) == pytest.approx(function(text))


def test_words_are_parts_too():
    assert shares(lambda t: float(len(t.split())), "one two three", "token") == [
        ("one", 1.0),
        ("two", 1.0),
        ("three", 1.0),
    ]


def test_an_answer_of_one_part_earns_it_all_and_a_blank_one_has_none():
    assert shares(lambda _: 5.0, "A day.") == [("A day.", 5.0)]
    assert shares(lambda _: 5.0, "  ") == []


def test_what_the_source_cannot_score_is_unscored():
    source = LeaveOneOut("shares", CONFIG, Whole(lambda t: Unscored("too short") if len(t) < 8 else 1.0))
    (scores,) = source.score([Sample("q", "A good day. A day.")])
    assert scores.missing == Unscored("too short")


def test_only_one_score_for_a_whole_answer_can_be_shared_out():
    source = Whole(len)
    source.density = "sentence"
    with pytest.raises(ConfigError, match=r"sources.shares.of: 'whole' has a score per sentence already"):
        LeaveOneOut("shares", CONFIG, source)


def test_it_finds_the_other_source_by_its_name(tmp_path, monkeypatch):
    (tmp_path / "counted.py").write_text(
        "def f(prompts, completions, **_):\n    return [float(len(c)) for c in completions]"
    )
    monkeypatch.syspath_prepend(tmp_path)
    from spanwise.rewards.foreign.config import SourceConfig  # noqa: PLC0415

    uses = {"shares": AttributionConfig(of="long"), "long": SourceConfig(kind="function", function="counted:f")}
    first, second = foreign_sources(uses)
    assert (first.name, second.name) == ("shares", "long")
    assert first.category == "long"
    (scores,) = first.score([Sample("q", "A day. A good day.")])
    assert sum(score.value for score in scores.scores) == pytest.approx(18)
    with pytest.raises(ConfigError, match=r"sources.shares.of: there is no source 'lost' to share out; known: long"):
        foreign_sources({**uses, "shares": AttributionConfig(of="lost")})
    assert (
        foreign_sources({"shares": AttributionConfig(of="whole")}, beside=[Whole(lambda _: 1.0)])[0].density
        == "sentence"
    )
