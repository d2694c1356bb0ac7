"""The Perspective-compatible client against a server on this machine that misbehaves as it is told."""

import itertools
import time

import pytest
from doubles.llm_server import serve

from spanwise.core.errors import ConfigError
from spanwise.feedback.scores import Unscored
from spanwise.rewards.scorers.http import PerspectiveConfig, PerspectiveScorer


def reply(value):
    return 200, {"attributeScores": {"TOXICITY": {"summaryScore": {"value": value, "type": "PROBABILITY"}}}}


def scorer(url, **options):
    settings = {"requests_per_minute": None, "pause_s": 0.0, "retries": 2, "timeout_s": 5.0, **options}
    return PerspectiveScorer(PerspectiveConfig(url=f"{url}/analyze", **settings))


def test_scores_come_in_order_and_equal_texts_are_asked_once():
    with serve(lambda body: reply(len(body["comment"]["text"]) / 10)) as (url, seen):
        assert scorer(url).score(["aaa", "b", "aaa", "cc"]) == [0.3, 0.1, 0.3, 0.2]
    assert len(seen) == 3
    assert seen[0]["requestedAttributes"] == {"TOXICITY": {}}
    assert seen[0]["doNotStore"] is True


def test_the_key_travels_in_a_header_and_never_in_the_address(monkeypatch):
    monkeypatch.setenv("PERSPECTIVE_API_KEY", "secret")
    with serve(lambda body: (400, {})) as (url, seen):
        found = scorer(url, api_key_env="PERSPECTIVE_API_KEY").score(["text"])[0]
    assert "secret" not in seen[0]["path"]
    assert isinstance(found, Unscored)
    assert "secret" not in found.reason


@pytest.mark.parametrize("status", [429, 500, 503])
def test_passing_troubles_are_tried_again(status):
    answers = iter([(status, {}), (status, {}), reply(0.7)])
    with serve(lambda body: next(answers)) as (url, seen):
        assert scorer(url).score(["text"]) == [0.7]
    assert len(seen) == 3


@pytest.mark.parametrize(("status", "kind"), [(429, "rate limit"), (500, "server error"), (400, "rejected")])
def test_what_lasts_is_unscored_and_counted_and_never_zero(status, kind):
    with serve(lambda body: (status, {}) if body["comment"]["text"] == "odd" else reply(0.0)) as (url, seen):
        asked = scorer(url)
        found = asked.score(["odd", "clean"])
    assert isinstance(found[0], Unscored)
    assert str(status) in found[0].reason
    assert found[1] == 0.0
    assert asked.failures == {kind: 1}
    assert sum(body["comment"]["text"] == "odd" for body in seen) == (1 if kind == "rejected" else 3)


@pytest.mark.parametrize(
    "content",
    [
        "half a {",
        "",
        [],
        {},
        {"attributeScores": None},
        {"attributeScores": {"TOXICITY": {"summaryScore": {"value": "0.1"}}}},
        {"attributeScores": {"TOXICITY": {"summaryScore": {"value": True}}}},
        {"attributeScores": {"TOXICITY": {"summaryScore": {"value": 1.5}}}},
        {"attributeScores": {"TOXICITY": {"summaryScore": {"value": float("nan")}}}},
        {"attributeScores": {"OTHER": {"summaryScore": {"value": 0.5}}}},
    ],
)
def test_a_malformed_reply_is_unscored(content):
    with serve(lambda body: (200, content)) as (url, _):
        found = scorer(url).score(["text"])
    assert isinstance(found[0], Unscored)


def test_silence_becomes_a_time_out():
    with serve(lambda body: (200, 0.6)) as (url, _):
        asked = scorer(url, timeout_s=0.1, retries=1)
        assert isinstance(asked.score(["text"])[0], Unscored)
    assert asked.failures == {"time-out": 1}


def test_a_service_that_is_down_leaves_texts_unscored():
    with serve(lambda body: reply(0.5)) as (url, _):
        pass
    asked = scorer(url, retries=1)
    assert isinstance(asked.score(["text"])[0], Unscored)
    assert asked.failures == {"connection": 1}


def test_a_service_that_recovers_in_the_middle_scores_the_rest():
    turn = itertools.count()
    with serve(lambda body: (503, {}) if next(turn) < 2 else reply(0.4)) as (url, _):
        found = scorer(url, retries=0, concurrency=1).score(["a", "b", "c"])
    assert [isinstance(value, Unscored) for value in found] == [True, True, False]
    assert found[2] == 0.4


def test_long_and_blank_texts_are_not_sent():
    with serve(lambda body: reply(0.5)) as (url, seen):
        asked = scorer(url, max_bytes=4)
        found = asked.score(["äää", "  ", "abcd"])
    assert [isinstance(value, Unscored) for value in found] == [True, True, False]
    assert len(seen) == 1
    assert asked.failures == {"too long": 1, "blank": 1}


def test_requests_are_spaced():
    with serve(lambda body: reply(0.5)) as (url, _):
        start = time.monotonic()
        scorer(url, requests_per_minute=600).score(["a", "b", "c", "d"])
    assert time.monotonic() - start >= 0.29


def test_googles_service_wants_a_key(monkeypatch):
    monkeypatch.delenv("PERSPECTIVE_API_KEY", raising=False)
    with pytest.raises(ConfigError, match="PERSPECTIVE_API_KEY is not set"):
        PerspectiveScorer(PerspectiveConfig())
