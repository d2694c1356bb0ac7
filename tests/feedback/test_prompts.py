import json

import pytest
from pydantic import ValidationError

from spanwise.feedback.files import load_or_raise, write_records
from spanwise.feedback.prompts import DemonstrationRecord, PromptRecord, build_prompt
from spanwise.feedback.schema import FeedbackRecord, Passage


def test_prompt_is_worded_as_in_the_paper():
    passages = [Passage(title="A", sentences=("One.", "Two.")), Passage(title="B", sentences=("Three.",))]
    expected = "question: Why? context: wikipage: A text: One. Two. wikipage: B text: Three. answer:"
    assert build_prompt("Why?", passages) == expected
    assert build_prompt("Why?") == "question: Why? answer:"
    assert PromptRecord(prompt="Why?", passages=tuple(passages)).model_input == expected


def test_a_policy_reads_the_excerpt_where_there_is_one_and_an_empty_one_means_no_passage():
    passage = Passage(title="A", sentences=("One.", "Two."))
    record = PromptRecord(prompt="Why?", passages=(passage,), excerpt=(Passage(title="A", sentences=("Two.",)),))
    assert record.model_input == "question: Why? context: wikipage: A text: Two. answer:"
    assert record.model_copy(update={"excerpt": ()}).model_input == "question: Why? answer:"
    assert PromptRecord.model_validate_json(record.model_dump_json()) == record


@pytest.mark.parametrize("bad", ["", "a\0", "\ud800"])
def test_prompts_and_answers_must_be_text_that_a_model_can_read(bad):
    with pytest.raises(ValidationError):
        PromptRecord(prompt=bad)
    with pytest.raises(ValidationError):
        DemonstrationRecord(prompt="Why?", completion=bad)


def test_a_verbatim_prompt_is_continued_as_it_stands_and_other_prompts_are_stored_as_before():
    record = PromptRecord(prompt="The men started", verbatim=True)
    assert record.model_input == "The men started"
    assert PromptRecord.model_validate_json(record.model_dump_json()) == record
    assert "verbatim" not in PromptRecord(prompt="Why?").model_dump()


CHAT = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yo"}, {"role": "user", "content": "why?"}]


def test_turns_may_stand_under_prompt_as_trl_has_them_and_are_stored_as_messages():
    record = PromptRecord.model_validate({"prompt": CHAT})
    assert [turn.role for turn in record.messages] == ["user", "assistant", "user"]
    assert record.prompt == "user: hi\n\nassistant: yo\n\nuser: why?"
    assert PromptRecord.model_validate({"prompt": CHAT[:1]}).prompt == "hi"
    assert PromptRecord.model_validate_json(record.model_dump_json()) == record
    assert "messages" not in PromptRecord(prompt="hi").model_dump()


@pytest.mark.parametrize(
    "columns",
    [
        {"messages": [*CHAT, {"role": "assistant", "content": "so"}]},
        {"prompt": CHAT, "completion": [{"role": "assistant", "content": "so"}]},
        {"messages": CHAT, "completion": "so"},
        {"prompt": CHAT, "completion": [{"role": "assistant", "content": [{"type": "text", "text": "so"}]}]},
    ],
)
def test_a_demonstration_is_read_in_every_column_layout_of_trl(columns):
    record = DemonstrationRecord.model_validate(columns)
    assert (record.completion, len(record.messages)) == ("so", 3)


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"messages": CHAT[:2]}, "end with an answer of the assistant; end them with the turn before it"),
        ({"prompt": "no", "messages": CHAT}, "differs from what its messages say; leave it out"),
        ({"prompt": CHAT, "messages": CHAT}, "stands beside a prompt of turns"),
        ({"messages": [{"role": "user", "content": [{"type": "image"}]}]}, "holds a part that is no text"),
        ({"messages": [{"role": "user", "content": "a\0"}]}, "NUL"),
    ],
)
def test_turns_that_cannot_be_read_are_told(columns, reason):
    with pytest.raises(ValidationError, match=reason):
        PromptRecord.model_validate(columns)
    with pytest.raises(ValidationError, match="holds 2 turns; write a record for each answer"):
        DemonstrationRecord.model_validate({"prompt": CHAT, "completion": [CHAT[1], CHAT[1]]})


def test_feedback_on_any_turn_of_the_assistant_makes_a_record_of_it(tmp_path):
    spans = [{"start": 0, "end": 2, "quote": "yo", "category": "Rude"}]
    turns = [CHAT[0], {**CHAT[1], "marked": True, "spans": spans}, CHAT[2], {"role": "assistant", "content": "so"}]
    path = tmp_path / "feedback.jsonl"
    path.write_text(json.dumps({"id": "c", "messages": turns}) + "\n")
    (record,) = load_or_raise(path, FeedbackRecord)
    assert (record.id, record.prompt, record.responses[0].text) == ("c-1", "hi", "yo")
    assert record.responses[0].spans[0].category == "Rude"
    turns[3]["marked"] = True
    path.write_text(json.dumps({"id": "c", "messages": turns}) + "\n")
    first, last = load_or_raise(path, FeedbackRecord)
    assert first == record
    assert (last.id, last.responses[0].text, last.question) == ("c-3", "so", first.question)
    assert [turn.model_dump() for turn in last.messages] == CHAT, "feedback is no part of the conversation"
    write_records(path, [first, last])
    assert load_or_raise(path, FeedbackRecord) == [first, last]
