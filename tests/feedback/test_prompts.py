import pytest
from pydantic import ValidationError

from spanwise.feedback.prompts import DemonstrationRecord, PromptRecord, build_prompt
from spanwise.feedback.schema import Passage


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
