"""A critic as a reward source: marks are scores of their spans, what is not judged is no score."""

import json

import pytest
import torch
from doubles.chat_models import chat_policy
from doubles.critic_server import critic_config

from spanwise.core.errors import ConfigError
from spanwise.feedback.schema import Passage
from spanwise.feedback.scores import Sample, Unscored
from spanwise.llm.chat import CallError, ChatReply
from spanwise.llm.critics.critic import Critic
from spanwise.rewards.config import MixtureConfig, SourcesConfig
from spanwise.rewards.foreign.config import SourceConfig
from spanwise.rewards.foreign.critic import CriticReward, make_critic
from spanwise.rewards.pipeline import RewardPipeline
from spanwise.rewards.sources import foreign_sources
from spanwise.text import Span, words

TEXT = "The mill was made of stone. It burned down twice."
KINDS = {"errors": {"wrong": "w", "dull": "d"}, "merits": {"nice": "n"}, "omissions": {"gap": "g"}}


class Says:
    """A critic's endpoint: replies by the answer that it is asked about."""

    def __init__(self, by_answer):
        self.by_answer, self.calls = by_answer, 0

    def complete(self, request):
        self.calls += 1
        (said,) = [said for text, said in self.by_answer.items() if f"criticise:\n{text}" in request.messages[0][1]]
        if isinstance(said, CallError):
            raise said
        return ChatReply(said if isinstance(said, str) else json.dumps(said), "stop", "m-1", 10, 5)


def mark(quote, category="wrong", severity="major", confidence=1.0, occurrence=1):
    polarity = "positive" if category == "nice" else "negative"
    return {"quote": quote, "occurrence": occurrence, "category": category, "polarity": polarity,
            "severity": severity, "confidence": confidence}  # fmt: skip


def said(*marks, **more):
    return {"critique": "c", "marks": list(marks), **more}


def source(by_answer, name="critic", **use):
    config = critic_config(**KINDS)
    use = SourceConfig.model_validate({"kind": "critic", "critic": config} | use)
    return CriticReward(name, use, Critic(config, client=Says(by_answer)))


def values(scores):
    return [(score.span, score.value) for score in scores.scores]


def test_every_mark_is_a_score_of_its_span():
    marks = [mark("stone", confidence=0.8), mark("twice", severity="minor"), mark("The mill", "nice", confidence=0.5)]
    (scores,) = source({TEXT: said(*marks)}).score([Sample("p", TEXT)])
    assert values(scores) == [(Span(0, 8), 0.5), (Span(21, 26), -0.8), (Span(43, 48), -0.25)]
    only = source({TEXT: said(*marks)}, categories=("nice",)).score([Sample("p", TEXT)])
    assert values(only[0]) == [(Span(0, 8), 0.5)]


def test_a_placebo_pays_the_same_elsewhere():
    marks = said(mark("stone", confidence=0.8), mark("twice", severity="minor"))
    asked = [Sample("p", TEXT)]
    true, moved = (source({TEXT: marks}, placebo=placebo).score(asked)[0] for placebo in (False, True))
    assert sorted((len(span), value) for span, value in values(true)) == sorted(
        (len(span), value) for span, value in values(moved)
    )
    assert values(true) != values(moved)
    assert source({TEXT: marks}, placebo=True).score(asked)[0] == moved, "the answer alone decides where"
    parts = [source({TEXT: marks}, placebo=p, density="sentence").score(asked)[0] for p in (False, True)]
    assert sorted(value for _, value in values(parts[0])) == sorted(value for _, value in values(parts[1]))
    assert source({}, placebo=True).version != source({}).version


def test_an_omission_costs_the_whole_answer():
    passages = (Passage(title="T", sentences=("It was red.",)),)
    judged = source({TEXT: said(omissions=[{"category": "gap", "source": "It was red."}])})
    (scores,) = judged.score([Sample("p", TEXT, passages=passages)])
    assert values(scores) == [(Span(0, len(TEXT)), -1.0)]


def test_parts_are_right_but_for_what_is_blamed_in_them():
    judged = source({TEXT: said(mark("stone", severity="minor"), mark("It", "nice"))}, density="sentence")
    (scores,) = judged.score([Sample("p", TEXT)])
    assert [value for _, value in values(scores)] == [0.5, 1.0]
    assert judged.density == "sentence"


def test_nothing_marked_and_not_judged_differ():
    judged = source({"clean": said(), "prose": "All fine.", "slow": CallError("time-out", "late")})
    clean, prose, slow, blank = judged.score([Sample("p", text) for text in ("clean", "prose", "slow", " ")])
    assert (clean.missing, clean.scores, blank.missing) == (None, (), None)
    assert (prose.missing, slow.missing) == (
        Unscored("the critic gave no marks (answered in prose)"),
        Unscored("the critic gave no marks (time-out)"),
    )
    parts = source({"clean": said(), "prose": "All fine."}, density="sentence")
    right, missing = parts.score([Sample("p", "clean"), Sample("p", "prose")])
    assert ([value for _, value in values(right)], bool(missing.missing)) == ([1.0], True)


def test_a_quote_that_is_not_there_is_as_if_the_response_were_dropped():
    tower = "The tower is 300 m tall and was built in 1889."
    judged = source({TEXT: said(mark("stone")), tower: said(mark("finished in 1890"))})
    rule = MixtureConfig.model_validate({"sources": {"critic": {"missing": "mask"}}})
    pipeline = RewardPipeline([judged], rule)
    both = [Sample("p", TEXT), Sample("p", tower)]
    scores = pipeline(both, [words(sample.response) for sample in both])
    alone = pipeline(both[:1], [words(TEXT)])
    assert scores.dropped.tolist() == [False, True]
    assert torch.equal(scores.total[0, : alone.total.shape[1]], alone.total[0])
    assert not scores.total[1].any()
    assert judged.critic.counts.unscored == {"text not found": 1}


def test_praise_and_blame_of_one_phrase_are_two_marks_on_their_own_tokens():
    text = "a good thing and a good day"
    judged = source({text: said(mark("a good", "nice"), mark("a good", occurrence=2))})
    rule = MixtureConfig.model_validate({"sources": {"critic": {}}})
    spans = words(text)
    scores = RewardPipeline([judged], rule)([Sample("p", text)], [spans])
    assert scores.total[0].tolist() == [0, 1, 0, 0, 0, -1, 0]


def test_sources_with_equal_critics_ask_once(tmp_path, monkeypatch):
    monkeypatch.setattr("spanwise.llm.critics.critic.make_client", lambda config: Says({TEXT: said(mark("stone"))}))
    critic = critic_config(**KINDS).model_dump()
    uses = {name: {"kind": "critic", "critic": critic, "categories": [name]} for name in ("wrong", "dull")}
    first, second = foreign_sources(SourcesConfig.model_validate({"sources": uses}).sources)
    assert first.critic is second.critic
    assert values(first.score([Sample("p", TEXT)])[0]) == [(Span(21, 26), -1.0)]
    assert values(second.score([Sample("p", TEXT)])[0]) == []
    assert (first.critic.caller.usage.asked, first.critic.caller.usage.from_book) == (1, 1)
    assert first.version != second.version


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"categories": ("slow",)}, "the critic has no 'slow'"),
        ({"kind": "function", "function": "a:b"}, "kind=function takes function"),
        ({"critic": None}, "kind=critic takes critic"),
    ],
)
def test_what_does_not_fit_is_refused(changes, reason):
    with pytest.raises((ConfigError, ValueError), match=reason):
        source({}, **changes)


def test_the_policy_itself_criticises_and_what_it_cannot_say_is_unscored():
    config = critic_config(**KINDS, endpoint={"provider": "policy", "base_url": None, "max_new_tokens": 6})
    use = SourceConfig.model_validate({"kind": "critic", "critic": config})
    judged = CriticReward("critic", use, make_critic("critic", use, chat_policy("qwen")))
    (scores,) = judged.score([Sample("p", "a b")])
    assert scores.missing is not None
    assert judged.critic.caller.usage.asked == 1
    judged.score([Sample("p", "a b")])
    assert judged.critic.caller.usage.asked == 1, "the replies of a policy that learns are not kept for the next call"
    with pytest.raises(ConfigError, match="no policy is trained here"):
        make_critic("critic", use)
