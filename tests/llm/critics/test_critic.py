"""What a critic's endpoint does wrong is asked for again where that helps, then counted, and never a judgement."""

import json

import pytest
from doubles.critic_server import FAULTS, UNPAID, critic_config, criticising, sim_answers, truth_of

from spanwise.core.errors import ConfigError
from spanwise.feedback.scores import Sample
from spanwise.llm.answers import Unusable
from spanwise.llm.chat import CallError, ChatReply
from spanwise.llm.critics.critic import Critic
from spanwise.llm.replies import ReplyBook

pytest.importorskip("openai", reason="the extra `editors` is not installed")
pytest.importorskip("anthropic", reason="the extra `editors` is not installed")

CLEAN = {"critique": "fine", "marks": []}
MARK = {"quote": "bad", "occurrence": 1, "category": "Irrelevant", "polarity": "negative", "severity": "minor"}
FOUND = {"critique": "no", "marks": [MARK | {"confidence": 0.5}]}
REASONS = {"prose": "answered in prose", "half JSON": "not JSON", "wrong quote": "text not found",
           "wrong occurrence": "text not found", "wrong category": "wrong form", "refusal": "model refused",
           "half body": "malformed reply", "hang up": "connection"}  # fmt: skip


class Scripted:
    """Gives these replies in turn."""

    def __init__(self, *replies):
        self.replies, self.requests = list(replies), []

    def complete(self, request):
        self.requests.append(request)
        said = self.replies[min(len(self.requests), len(self.replies)) - 1]
        if isinstance(said, CallError):
            raise said
        return ChatReply(said if isinstance(said, str) else json.dumps(said), "stop", "m-1", 10, 5)


def judged(critic, *texts):
    by_position = dict(critic.judge([Sample("p", text) for text in texts]))
    return [by_position[position] for position in range(len(texts))]


def test_the_critique_is_asked_for_before_the_marks():
    critic = Critic(critic_config(), client=Scripted(CLEAN))
    request = critic.prompt.request(Sample("why?", "because {{prompt}}"))
    assert list(request.schema["properties"]) == ["critique", "marks"]
    assert "because {{prompt}}" in request.messages[0][1]
    assert "Wrong-Grounding" in request.system
    assert "minor, major" in request.system


def test_an_absent_quote_is_asked_for_once_more_with_what_was_wrong():
    wrong = {"critique": "c", "marks": [MARK | {"quote": "worst", "confidence": 1}]}
    client = Scripted(wrong, FOUND)
    critic = Critic(critic_config(), client=client)
    (outcome,) = judged(critic, "a bad word")
    assert [(mark.start, mark.end) for mark in outcome.value.marks] == [(2, 5)]
    assert "holds 'worst' 0 times" in client.requests[1].messages[-1][1]
    assert (critic.counts.retried, critic.counts.not_found, critic.counts.unscored) == (1, 1, {})


def test_after_that_the_answer_is_unscored_and_no_list_of_marks_is_empty():
    critic = Critic(critic_config(), client=Scripted({"critique": "c", "marks": [MARK | {"quote": "worst"}]}))
    (outcome,) = judged(critic, "a bad word")
    assert isinstance(outcome, Unusable)
    assert (critic.counts.unscored, critic.counts.clean, critic.counts.not_found) == ({"text not found": 1}, 0, 2)


def test_half_a_body_is_asked_for_again_and_equal_answers_are_asked_about_once():
    client = Scripted(CallError("malformed reply", "half"), FOUND)
    critic = Critic(critic_config(), client=client)
    first, second = judged(critic, "a bad word", "a bad word")
    assert first is second
    assert (len(client.requests), critic.counts.answers, critic.counts.marks) == (2, 2, 2)


def test_the_budget_ends_the_asking_and_not_the_run():
    config = critic_config(endpoint={"budget": 0.0001, "concurrency": 1})
    critic = Critic(config, client=Scripted(CLEAN))  # each reply costs 10 * 1 + 5 * 10 = 60 millionths
    outcomes = judged(critic, "a", "b", "c", "d")
    assert [isinstance(one, Unusable) and one.reason for one in outcomes] == [
        False,
        False,
        "over budget",
        "over budget",
    ]
    with pytest.raises(ValueError, match="budget needs input_price"):
        critic_config(endpoint={"budget": 1, "input_price": None, "output_price": None})


def test_an_endpoint_that_refuses_all_calls_ends_the_run():
    with pytest.raises(ConfigError, match=r"refuses .whose key.; check key"):
        judged(Critic(critic_config(), client=Scripted(CallError("no access", "whose key"))), "a", "b")


def test_the_version_changes_with_what_is_asked_and_not_with_how():
    versions = [
        Critic(critic_config(**changes), client=Scripted(CLEAN)).version
        for changes in (
            {}, {"endpoint": {"concurrency": 9, "timeout_s": 1}}, {"errors": {"x": "y"}}, {"attempts": 3},
            {"endpoint": {"temperature": 0.5}},
        )
    ]  # fmt: skip
    assert versions[0] == versions[1]
    assert len(set(versions)) == 4


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_of_an_endpoint_leaves_answers_unscored(provider, fault):
    ((item, answer),) = sim_answers(1)
    with criticising(lambda _: truth_of(item, answer), rates={fault: 1.0}) as server:
        critic = Critic(critic_config(server.address, provider, endpoint={"timeout_s": 0.3}))
        ((_, outcome),) = critic.judge([Sample(item.record.prompt, answer)])
        assert isinstance(outcome, Unusable)
        assert outcome.reason == REASONS.get(fault, fault)
        assert len(server.sent) == len(critic.caller._book)
        assert (fault in UNPAID) == (not server.sent)


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_with_all_faults_together_no_reply_is_lost_and_no_score_invented(provider, tmp_path):
    answers = sim_answers(60)
    truths = {answer: truth_of(item, answer) for item, answer in answers}
    texts = sorted(truths, key=len, reverse=True)

    def reply_of(body):
        asked = body["messages"][-1]["content"] if len(body["messages"]) < 3 else body["messages"][-3]["content"]
        return truths[next(text for text in texts if f"criticise:\n{text}" in asked)]

    rates = dict.fromkeys(FAULTS, 0.04)
    book = tmp_path / "book.jsonl"
    endpoint = {"retries": 3, "timeout_s": 1.0, "concurrency": 8}
    with criticising(reply_of, rates=rates, hang_s=1.5, seed=3) as server:
        config = critic_config(server.address, provider, endpoint=endpoint, cache=str(book))
        critic = Critic(config)
        samples = [Sample(item.record.prompt, answer) for item, answer in answers]
        outcomes = dict(critic.judge(samples))
        sent = [text for _, text in server.sent]
    kept = [json.loads(line)["reply"]["text"] for line in book.read_text().splitlines()]
    assert sorted(sent) == sorted(kept)
    assert len(ReplyBook(book)) == len(kept)
    assert len(outcomes) == len(samples)
    for position, outcome in outcomes.items():
        if not isinstance(outcome, Unusable):
            marks = [(mark.quote, mark.category) for mark in outcome.value.marks]
            true = [(mark["quote"], mark["category"]) for mark in truths[samples[position].response]["marks"]]
            assert sorted(marks) == sorted(set(true))
            assert all(samples[position].response[m.start : m.end] == m.quote for m in outcome.value.marks)
    unscored = sum(isinstance(outcome, Unusable) for outcome in outcomes.values())
    assert sum(critic.counts.unscored.values()) == unscored < len(samples)
    assert sum(server.faults.values()) > 10
    again = Critic(config, client=Scripted(CallError("connection", "nobody")))
    assert sum(not isinstance(outcome, Unusable) for _, outcome in again.judge(samples)) == len(samples) - unscored
