"""Rules on answers by hand: which characters pay, and what the config refuses."""

import pytest
from pydantic import TypeAdapter

from spanwise.cli.config_help import describe_config
from spanwise.core import ConfigError
from spanwise.feedback import Passage, Sample, Unscored
from spanwise.rewards.config import AnySource, ScoreConfig
from spanwise.rewards.sources import foreign_sources


def judged(text, *, passages=(), **settings):
    (source,) = foreign_sources({"mine": TypeAdapter(AnySource).validate_python(settings)})
    (scores,) = source.score([Sample("q", text, passages)])
    assert scores.missing is None
    return source, [(score.span.start, score.span.end, score.value) for score in scores.scores]


def test_a_forbidden_pattern_costs_where_it_stands_and_nothing_elsewhere():
    source, said = judged("I think it is, I THINK, so", kind="pattern", pattern=r"(?i)\bi think\b")
    assert said == [(0, 7, -1.0), (15, 22, -1.0)]
    assert source.density == "token"
    assert judged("It is so.", kind="pattern", pattern="I think")[1] == []


def test_an_expected_pattern_is_judged_once():
    assert judged("The answer: 4", kind="pattern", pattern=r"\d+$", expected=True)[1] == [(0, 13, 1.0)]
    assert judged("Four", kind="pattern", pattern=r"\d+$", expected=True)[1] == [(0, 4, -1.0)]


def test_a_pattern_that_matches_nothing_long_has_no_match():
    assert judged("aaa", kind="pattern", pattern="b*")[1] == []


def test_a_pattern_that_would_never_end_leaves_the_answer_unscored(monkeypatch):
    monkeypatch.setattr("spanwise.rewards.signals.rules.TIMEOUT_S", 0.05)
    use = TypeAdapter(AnySource).validate_python({"kind": "pattern", "pattern": "(a|aa)+$"})
    (source,) = foreign_sources({"mine": use})
    slow, quick = source.score([Sample("q", "a" * 60 + "b"), Sample("q", "a")])
    assert isinstance(slow.missing, Unscored)
    assert "took more than" in slow.missing.reason
    assert [score.value for score in quick.scores] == [-1.0]


@pytest.mark.parametrize(
    ("text", "value"),
    [('{"a": 1}', 1.0), ('{"a": 1', -1.0), ('{"a": 1, "a": 2}', -1.0), ("[" * 5000, -1.0), ("", -1.0)],
)
def test_json_is_one_strict_value(text, value):
    assert judged(text, kind="json")[1] == [(0, len(text), value)]


def test_json_of_a_schema(tmp_path):
    pytest.importorskip("jsonschema")
    schema = {"type": "object", "required": ["answer"], "properties": {"answer": {"type": "integer"}}}
    for text, value in (('{"answer": 3}', 1.0), ('{"answer": "3"}', -1.0), ("{}", -1.0), ("no", -1.0)):
        assert judged(text, kind="json", json_schema=schema)[1] == [(0, len(text), value)]
    (tmp_path / "s.json").write_text('{"type": 3}')
    with pytest.raises(ConfigError, match=r"sources.mine: is no JSON schema"):
        judged("{}", kind="json", schema_file=tmp_path / "s.json")


def test_words_beyond_the_limit_cost_one_each_there():
    assert judged("one two three four", kind="length", max_words=2)[1] == [(8, 13, -1.0), (14, 18, -1.0)]
    assert judged("one two", kind="length", max_words=2)[1] == []


def test_words_that_lack_cost_one_each_at_the_end():
    assert judged("one", kind="length", min_words=3)[1] == [(3, 3, -2.0)]
    assert judged("", kind="length", min_words=1)[1] == [(0, 0, -1.0)]


def test_each_sentence_must_cite_a_passage_that_there_is():
    passages = (Passage(title="A", sentences=("x",)), Passage(title="B", sentences=("y",)))
    text = "It is red [1]. It is big. It is old [3]. It is both [1][2]."
    values = [value for _, _, value in judged(text, kind="citation", passages=passages)[1]]
    assert values == [1.0, -1.0, -1.0, 1.0]
    assert judged("So (A).", kind="citation", pattern=r"\([A-Z]\)")[1] == [(0, 7, 1.0)]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"kind": "pattern", "pattern": "("}, r"sources\.mine\.pattern: .*is no regular expression"),
        ({"kind": "pattern"}, r"sources\.mine\.pattern is required"),
        ({"kind": "length"}, r"sources\.mine: set min_words, max_words or both"),
        ({"kind": "citation", "density": "token"}, r"sources\.mine\.density: tokens are no claims"),
        ({"kind": "length", "max_word": 3}, r"unknown key sources\.mine\.max_word"),
        ({"kind": "reward"}, r"sources\.mine: kind=reward takes model"),
        ({"kind": "rule"}, r"sources\.mine: kind must be one of reward, .*pattern"),
        ({}, r"sources\.mine: kind must be one of"),
    ],
)
def test_what_is_wrong_is_named_by_its_key(values, words):
    with pytest.raises(ConfigError, match=words):
        ScoreConfig.from_values({"responses": "a", "output": "b", "sources": {"mine": values}}, place="test")


def test_the_version_changes_with_the_settings_alone():
    first, second = (judged("a", kind="pattern", pattern=pattern)[0] for pattern in "ab")
    again = judged("a", kind="pattern", pattern="a", category="other")[0]
    assert first.version != second.version
    assert first.version == again.version
    assert (first.category, again.category) == ("mine", "other")


def test_the_help_of_a_run_names_the_settings_of_every_kind():
    text = describe_config(ScoreConfig)
    for key in ("pattern", "max_words", "ref_policy", "separator", "of", "label"):
        assert f"sources.NAME.{key}[" in text
