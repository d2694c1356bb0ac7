"""A critic over a file: records as people's, what is not judged beside them, and the comparison with people."""

import json

import pytest
from doubles.critic_server import critic_config, sim_answers, truth_of

from spanwise.core.errors import DataError
from spanwise.core.files import read_json, write_jsonl
from spanwise.feedback.files import load_or_raise, write_records
from spanwise.feedback.schema import FeedbackRecord, Response, mark
from spanwise.llm.chat import CallError, ChatReply
from spanwise.llm.critics.config import CritiqueConfig
from spanwise.llm.critics.critique import criticise
from spanwise.llm.replies import beside

TEXT = "The mill was made of stone. It burned down twice."


class Says:
    """Replies by the answer or comment that is asked about; others are prose."""

    def __init__(self, by_text):
        self.by_text, self.requests = by_text, []

    def complete(self, request):
        self.requests.append(request)
        asked = request.messages[0][1]
        for text, said in self.by_text.items():
            if text in asked:
                return ChatReply(json.dumps(said), "stop", "model-7", 100, 10, "id")
        if "nobody" in asked:
            raise CallError("time-out", "late")
        return ChatReply("It is fine.", "stop", "model-7", 100, 10)


def config(folder, **changes):
    paths = {"responses": folder / "answers.jsonl", "output": folder / "marks.jsonl"}
    return CritiqueConfig.model_validate(critic_config().model_dump() | paths | changes)


def said(quote, category="Irrelevant", **more):
    marks = [{"quote": quote, "occurrence": 1, "category": category, "polarity": "negative", "severity": "major",
              "confidence": 0.7}]  # fmt: skip
    return {"critique": "because", "marks": marks} | more


@pytest.fixture
def answers(tmp_path):
    rows = [{"id": "a", "sample": k, "prompt": "Why?", "response": text}
            for k, text in enumerate([TEXT, "Clean.", "Prose.", "Ask nobody."])]  # fmt: skip
    write_jsonl(tmp_path / "answers.jsonl", rows)
    return tmp_path


def test_records_are_as_a_person_would_have_written_them(answers):
    client = Says({TEXT: said("stone"), "Clean.": {"critique": "", "marks": []}})
    settings = config(answers)
    report = criticise(settings, client=client)
    first, clean = load_or_raise(settings.output, FeedbackRecord)
    assert (first.id, clean.id, first.annotator) == ("a", "a#1", "critique: model-7")
    ((only,),) = (response.spans for response in first.responses)
    assert (only.quote, only.category, only.severity, only.confidence) == ("stone", "Irrelevant", "major", 0.7)
    assert clean.responses[0].marked
    assert first.provenance["critique"] == "because"
    assert first.provenance["critic"]["cost"] == pytest.approx(100e-6 + 100e-6)
    unscored = [json.loads(line) for line in beside(settings.output, "unscored").read_text().splitlines()]
    assert [(row["id"], row["reason"]) for row in unscored] == [("a#2", "answered in prose"), ("a#3", "time-out")]
    assert (report.answers, report.records, report.clean, report.marks) == (4, 2, 1, {"Irrelevant": 1})
    assert read_json(beside(settings.output, "report", "json"))["unscored"] == report.unscored
    assert report.cost == pytest.approx(4 * 200e-6)
    again = criticise(settings, client=Says({}))
    assert (again.records, again.calls, again.replies_from_before) == (2, 1, 4)


def test_comments_become_marks_omissions_and_what_is_left(tmp_path):
    passages = [{"title": "T", "sentences": ["It stood in Brack.", "It was red."]}]
    rows = [
        {"prompt": "Why?", "response": TEXT, "comment": "Stone is wrong, it was red, and I like mills.",
         "passages": passages},
        {"prompt": "Why?", "response": TEXT, "comment": ""},
    ]  # fmt: skip
    write_jsonl(tmp_path / "answers.jsonl", rows)
    omissions = [{"category": "Missing-Answer", "source": "was red"}]
    client = Says({"I like mills": said("stone", "Wrong-Grounding", omissions=omissions, left=["I like mills"])})
    settings = config(tmp_path)
    report = criticise(settings, asks="comments", client=client)
    (record,) = load_or_raise(settings.output, FeedbackRecord)
    assert [m.quote for m in record.responses[0].spans] == ["stone"]
    assert record.responses[0].missing[0].evidence.sentences == (1,)
    assert record.provenance["left"] == ["I like mills"]
    assert record.provenance["comment"].startswith("Stone")
    assert (report.left, report.answers, report.omissions) == (1, 1, {"Missing-Answer": 1})
    assert list(client.requests[0].schema["properties"]) == ["critique", "marks", "omissions", "left"]
    write_jsonl(tmp_path / "answers.jsonl", rows[1:])
    with pytest.raises(DataError, match="no line has a comment"):
        criticise(settings, asks="comments", client=client)


def test_a_critic_that_says_what_people_say_may_replace_them_and_one_that_misplaces_may_not(tmp_path):
    truths, people = {}, []
    for number, (item, answer) in enumerate(sim_answers(80)):
        truths[f"criticise:\n{answer}"] = truth_of(item, answer)
        marks = [mark(answer, start, start + len(m["quote"]), m["category"])
                 for m in truths[f"criticise:\n{answer}"]["marks"]
                 for start in [_start(answer, m)]]  # fmt: skip
        response = Response(text=answer, marked=True, spans=tuple(marks))
        people.append(FeedbackRecord(id=str(number), prompt=item.record.prompt, responses=(response,)))
    truths = dict(sorted(truths.items(), key=lambda pair: -len(pair[0])))
    write_records(tmp_path / "people.jsonl", people)
    settings = config(tmp_path, responses=tmp_path / "people.jsonl")
    report = criticise(settings, against=tmp_path / "people.jsonl", client=Says(truths))
    verdicts = {one.category: one.verdict for one in report.reliability.categories if one.people >= 30}
    assert set(verdicts.values()) == {"may replace"}
    assert report.reliability.categories[-1].cost_per_error == pytest.approx(
        report.cost / report.reliability.categories[-1].found
    )
    beside(settings.output, "replies").unlink()
    elsewhere = {key: said_of | {"marks": [m | {"quote": ".", "occurrence": 1} for m in said_of["marks"]]}
                 for key, said_of in truths.items()}  # fmt: skip
    wrong = criticise(settings, against=tmp_path / "people.jsonl", client=Says(elsewhere))
    assert {one.verdict for one in wrong.reliability.categories} == {"must not replace"}


def _start(text, said_mark):
    start = -1
    for _ in range(said_mark["occurrence"]):
        start = text.find(said_mark["quote"], start + 1)
    return start


def test_files_that_do_not_fit_are_refused_before_the_first_call(answers):
    client = Says({})
    with pytest.raises(DataError, match="is the input as well"):
        criticise(config(answers, output=answers / "answers.jsonl"), client=client)
    other = FeedbackRecord(id="x", prompt="Who?", responses=(Response(text="I.", marked=True),))
    write_records(answers / "people.jsonl", [other])
    with pytest.raises(DataError, match="marks on none of the answers"):
        criticise(config(answers), against=answers / "people.jsonl", client=client)
    assert not client.requests
