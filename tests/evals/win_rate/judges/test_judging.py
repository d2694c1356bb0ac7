import json

import numpy as np
import pytest

from spanwise.core.errors import DataError
from spanwise.evals.statistics.pairwise import JudgedPair
from spanwise.evals.win_rate.judges.base import Reply, Usage
from spanwise.evals.win_rate.judges.chat import ChatJudge
from spanwise.evals.win_rate.judges.config import JudgeConfig
from spanwise.evals.win_rate.judges.people import PeopleJudge, write_pairs
from spanwise.evals.win_rate.judges.reward import RewardJudge
from spanwise.evals.win_rate.judging import cases_of, judge_outputs, shown_first
from spanwise.evals.win_rate.outputs import Outputs
from spanwise.feedback.files import load_or_raise, write_records
from spanwise.feedback.schema import FeedbackRecord, Preference
from spanwise.feedback.scores import SegmentScore, SegmentScores, Unscored
from spanwise.llm.chat import CallError, ChatReply
from spanwise.text.spans import Span

QUESTIONS = [f"q{number}" for number in range(12)]
REFERENCE = Outputs("ref", {key: f"{key} short" for key in QUESTIONS})
OWN = Outputs("own", {key: f"{key} rather longer" for key in QUESTIONS})


class ScriptedJudge:
    """Prefers the longer answer by `skill` and the first by `bias`; replies to every `broken`-th case with nonsense."""

    name, sees_order = "scripted", True

    def __init__(self, share):
        self.share, self.asked = share, []

    def judge(self, cases):
        for place in reversed(range(len(cases))):  # any order will do
            self.asked.append(cases[place])
            yield place, Reply(self.share(cases[place]), "words", Usage(1, 10, 2, 0.5))


def longer(case):
    return float(len(case.second) > len(case.first))


def judged(judge, outputs=OWN, reference=REFERENCE, **more):
    return judge_outputs(outputs, reference, judge, generator=np.random.default_rng(0), **more)


@pytest.mark.parametrize("order", ["both", "seeded", "model-second"])
def test_a_judge_without_bias_says_the_same_in_every_order(order):
    found = judged(ScriptedJudge(longer), order=order)
    assert [pair.share for pair in found.judgements.pairs] == [1.0] * 12
    assert found.usage.calls == (24 if order == "both" else 12)
    assert found.usage.cost == found.usage.calls / 2


def test_both_orders_cancel_a_judge_that_takes_the_first_and_the_bias_is_told():
    found = judged(ScriptedJudge(lambda _: 0.0))
    assert [pair.share for pair in found.judgements.pairs] == [0.5] * 12
    assert (found.position.first_preferred, found.position.consistent, found.position.n) == (1.0, 0.0, 12)


def test_the_seeded_order_shows_the_model_first_where_the_rule_says():
    judge = ScriptedJudge(lambda _: 0.0)
    found = judged(judge, order="seeded", seed=3)
    expected = [float(shown_first(key, seed=3)) for key in QUESTIONS]
    assert [pair.share for pair in found.judgements.pairs] == expected
    assert found.position is None


def test_equal_answers_are_ties_that_nobody_is_asked_about():
    judge = ScriptedJudge(longer)
    found = judged(judge, outputs=Outputs("own", REFERENCE.texts))
    assert judge.asked == []
    assert {pair.share for pair in found.judgements.pairs} == {0.5}


def test_outputs_are_joined_by_instruction_and_the_mismatch_is_counted():
    texts = {key: OWN.texts[key] for key in reversed(QUESTIONS[2:])} | {"another": "x", "third": "y"}
    texts["q5"] = " "
    found = judged(ScriptedJudge(longer), outputs=Outputs("own", texts, doubled=1)).judgements
    assert [pair.instruction for pair in found.pairs] == QUESTIONS[2:]
    assert found.pairs[0] == JudgedPair("q2", "q2 short", "q2 rather longer", 1.0)
    assert found.mismatch == {
        "in the reference only": 2,
        "in the outputs only": 2,
        "doubled in the outputs": 1,
        "empty in the outputs": 1,
    }


def test_nothing_to_join_is_refused():
    with pytest.raises(DataError, match="share no instruction"):
        judged(ScriptedJudge(longer), outputs=Outputs("own", {"x": "y"}))


def test_a_pair_that_is_unscored_in_one_order_is_unscored():
    def share(case):
        return Unscored("prose") if case.instruction == "q3" and case.first.endswith("longer") else longer(case)

    found = judged(ScriptedJudge(share))
    assert found.judgements.unscored == {"prose": 1}
    assert found.position.n == 11


class ScriptedClient:
    """Says what `text` makes of the number of the request, from 0, or nothing for None."""

    def __init__(self, text=lambda _: "Verdict: B"):
        self.text, self.asked = text, []

    def complete(self, request):
        self.asked.append(request)
        text = self.text(len(self.asked) - 1)
        if text is None:
            raise CallError("connection", "down")
        return ChatReply(text, "stop", "m-1", 10, 2)


def chat_judge(client, cache, model="m"):
    endpoint = {"provider": "openai", "model": model, "concurrency": 1}
    return ChatJudge(JudgeConfig(kind="chat", endpoint=endpoint, cache=cache), client=client)


def test_replies_are_kept_and_a_run_that_was_killed_goes_on(tmp_path):
    cache, first = tmp_path / "deep" / "replies.jsonl", ScriptedClient()
    for number, _ in enumerate(chat_judge(first, cache).judge(cases_of(OWN, REFERENCE)), start=1):
        if number == 5:
            break
    with cache.open("a") as stream:
        stream.write('{"key": "half a li')
    again = ScriptedClient()
    found = dict(chat_judge(again, cache).judge(cases_of(OWN, REFERENCE)))
    assert len(found) == 12
    assert len(again.asked) == 7
    assert sum((reply.usage for reply in found.values()), Usage()).calls == 7
    third = ScriptedClient()
    assert len(dict(chat_judge(third, cache).judge(cases_of(OWN, REFERENCE)))) == 12
    assert third.asked == []


def test_a_changed_prompt_or_model_is_asked_anew(tmp_path):
    dict(chat_judge(ScriptedClient(), tmp_path / "c.jsonl").judge(cases_of(OWN, REFERENCE)))
    changed = ScriptedClient()
    dict(chat_judge(changed, tmp_path / "c.jsonl", model="n").judge(cases_of(OWN, REFERENCE)))
    assert len(changed.asked) == 12


def test_nonsense_is_kept_and_a_failed_request_is_not(tmp_path):
    failing = ScriptedClient(lambda number: None if number % 2 else "prose")
    dict(chat_judge(failing, tmp_path / "c.jsonl").judge(cases_of(OWN, REFERENCE)))
    rows = [json.loads(line) for line in (tmp_path / "c.jsonl").read_text("utf-8").splitlines()]
    assert [row["reply"]["text"] for row in rows] == ["prose"] * 6
    again = ScriptedClient()
    dict(chat_judge(again, tmp_path / "c.jsonl").judge(cases_of(OWN, REFERENCE)))
    assert len(again.asked) == 6


def test_cases_asked_twice_cost_once(tmp_path):
    client = ScriptedClient()
    cases = cases_of(OWN, REFERENCE)[:1] * 3
    found = dict(chat_judge(client, tmp_path / "c.jsonl").judge(cases))
    assert len(client.asked) == 1
    assert [found[place].usage.calls for place in range(3)] == [1, 0, 0]


def test_a_file_of_something_else_is_no_book_of_replies(tmp_path):
    (tmp_path / "c.jsonl").write_text('{"key": "k", "judge": "m", "share": 1.0, "text": "Verdict: B"}\n', "utf-8")
    with pytest.raises(DataError, match=r"c\.jsonl:1: is no reply"):
        chat_judge(ScriptedClient(), tmp_path / "c.jsonl")
    with pytest.raises(DataError, match="cannot keep replies"):
        dict(chat_judge(ScriptedClient(), tmp_path / "c.jsonl" / "inside").judge(cases_of(OWN, REFERENCE)))


class LengthSource:
    name, category, density, version = "length", "preference", "sequence", "1"

    def score(self, samples):
        return [
            SegmentScores(missing=Unscored("too long"))
            if "q1 " in one.response
            else SegmentScores((SegmentScore(Span(0, len(one.response)), float(len(one.response))),))
            for one in samples
        ]


def test_a_reward_source_judges_by_its_sum_and_needs_one_order():
    found = judged(RewardJudge(LengthSource()))
    assert [pair.share for pair in found.judgements.pairs if pair.instruction != "q1"] == [1.0] * 11
    assert found.judgements.unscored == {"too long": 1}
    assert found.usage.calls == 0


def test_people_get_records_and_their_preferences_come_back(tmp_path):
    cases = cases_of(OWN, REFERENCE)
    assert write_pairs(tmp_path / "pairs.jsonl", cases) == 12
    records = load_or_raise(tmp_path / "pairs.jsonl", FeedbackRecord)
    marked = [
        record.model_copy(update={"preferences": (Preference(first=0, second=1, winner=_winner(record)),)})
        for record in records[:10]
    ]
    twice = marked[0].model_copy(update={"id": "twice", "preferences": (Preference(first=1, second=0, winner="tie"),)})
    write_records(tmp_path / "marked.jsonl", [*marked, twice])
    found = judged(PeopleJudge(tmp_path / "marked.jsonl")).judgements
    assert [pair.share for pair in found.pairs] == [0.75, *[1.0] * 9, *[Unscored("nobody compared these answers")] * 2]


def _winner(record):
    return "first" if record.responses[0].text.endswith("longer") else "second"
