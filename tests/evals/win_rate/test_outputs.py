import json

import pytest

from spanwise.core.errors import DataError
from spanwise.evals.win_rate.judges.base import Case
from spanwise.evals.win_rate.judges.people import PeopleJudge, write_pairs
from spanwise.evals.win_rate.judges.reward import RewardJudge
from spanwise.evals.win_rate.outputs import AskedPrompts, instruction_of, load_outputs
from spanwise.feedback.files import load_or_raise, write_records
from spanwise.feedback.prompts import PromptRecord
from spanwise.feedback.schema import FeedbackRecord, Passage, Preference
from spanwise.feedback.scores import SegmentScore, SegmentScores
from spanwise.text.spans import Span

OSLO = PromptRecord(id="a", prompt="where?", passages=(Passage(title="Oslo", sentences=("It is cold.", "It is big.")),))
ROME = PromptRecord(id="b", prompt="where?", passages=(Passage(title="Rome", sentences=("It is old.",)),))
PLAIN = PromptRecord(id="c", prompt="why?")
ASKED = AskedPrompts({record.id: record for record in (OSLO, ROME, PLAIN)})


def answers(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def answer(key, prompt, response, sample=0):
    return {"id": key, "sample": sample, "prompt": prompt, "response": response, "truncated": False, "tokens": 2}


def test_generated_answers_go_by_their_prompts(tmp_path):
    found = load_outputs(answers(tmp_path / "own.jsonl", [answer("c", "why?", "so"), answer("d", "who?", "")]))
    assert (found.model, found.texts) == ("own", {"why?": "so", "who?": ""})


def test_passages_tell_equal_questions_apart(tmp_path):
    path = answers(tmp_path / "own.jsonl", [answer("b", "where?", "in Rome"), answer("a", "where?", "in Oslo")])
    with pytest.raises(DataError, match=r"row 2: .*answered before otherwise; give the prompts' file"):
        load_outputs(path)
    texts = load_outputs(path, ASKED).texts
    assert texts == {instruction_of(ROME): "in Rome", instruction_of(OSLO): "in Oslo"}
    assert "It is cold. It is big." in instruction_of(OSLO)
    assert instruction_of(PLAIN) == "why?"


def test_further_samples_are_counted_and_not_judged(tmp_path):
    rows = [answer("c", "why?", "first"), answer("c", "why?", "second", sample=1)]
    found = load_outputs(answers(tmp_path / "own.jsonl", rows))
    assert (found.texts, found.further, found.doubled) == ({"why?": "first"}, 1, 0)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (answer("x", "why?", "so"), "row 1 answers 'x', no such prompt"),
        (answer("c", "when?", "so"), "row 1 answers 'c', no such prompt"),
        (answer("c", "why?", None), "row 1 has no text under 'response'"),
    ],
)
def test_an_answer_to_nothing_is_an_error(tmp_path, row, message):
    with pytest.raises(DataError, match=message):
        load_outputs(answers(tmp_path / "own.jsonl", [row]), ASKED)


def test_an_answer_without_prompt_needs_the_prompts_file(tmp_path):
    path = answers(tmp_path / "own.jsonl", [{"id": "c", "response": "so"}])
    with pytest.raises(DataError, match="give the prompts' file with --prompts"):
        load_outputs(path)
    assert load_outputs(path, ASKED).texts == {"why?": "so"}


def test_alpaca_outputs_carry_their_instructions(tmp_path):
    path = answers(tmp_path / "own.jsonl", [{"instruction": "why?", "output": "so", "generator": "m"}])
    assert load_outputs(path).model == "m"
    with pytest.raises(DataError, match="leave out --prompts"):
        load_outputs(path, ASKED)


class PassageSource:
    name, category, density, version = "passages", "preference", "sequence", "1"

    def __init__(self):
        self.seen = []

    def score(self, samples):
        self.seen += samples
        return [SegmentScores((SegmentScore(Span(0, 1), float(len(one.response))),)) for one in samples]


def test_a_reward_model_reads_prompt_and_passages_apart():
    source = PassageSource()
    case = Case(instruction_of(OSLO), "in Oslo", "Oslo")
    assert [reply.share for _, reply in RewardJudge(source, ASKED.by_instruction).judge([case])] == [0.0]
    assert {(one.prompt, one.passages) for one in source.seen} == {("where?", OSLO.passages)}


def test_people_see_the_passages_beside_the_prompt_and_are_found_again(tmp_path):
    case = Case(instruction_of(OSLO), "in Oslo", "in Rome")
    write_pairs(tmp_path / "pairs.jsonl", [case], ASKED.by_instruction)
    record = load_or_raise(tmp_path / "pairs.jsonl", FeedbackRecord)[0]
    assert (record.prompt, record.passages) == ("where?", OSLO.passages)
    marked = record.model_copy(update={"preferences": (Preference(first=0, second=1, winner="first"),)})
    write_records(tmp_path / "marked.jsonl", [marked])
    judge = PeopleJudge(tmp_path / "marked.jsonl", ASKED.by_instruction)
    assert [reply.share for _, reply in judge.judge([case])] == [0.0]
