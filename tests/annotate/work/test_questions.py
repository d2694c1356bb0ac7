"""The project's own questions: what they may be, and which answers are valid."""

import pytest
from doubles.annotation import World, spans_only

from spanwise.annotate.store.annotations import annotations_of
from spanwise.annotate.store.project import ProjectConfig, QuestionConfig
from spanwise.annotate.store.refusals import SubmissionError

QUESTIONS = (
    QuestionConfig(key="language", text="Which language?", kind="choice", options=("German", "Chinese")),
    QuestionConfig(key="fluency", text="How fluent?", kind="scale", steps=7),
    QuestionConfig(key="remark", text="Anything else?", required=False),
)
NONE = {"no_errors": ["r1"]}
WHOLE = {"language": "Chinese", "fluency": "7", "remark": "none"}


def answered(**changes: str | None) -> dict:
    given = {key: value for key, value in (WHOLE | changes).items() if value is not None}
    return NONE | {"answers": [{"key": key, "value": value} for key, value in given.items()]}


@pytest.fixture
def asking(place):
    made = World(place, spans_only(questions=QUESTIONS))
    made.items(1)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"language": None}, "“Which language?” is not answered."),
        ({"language": "Latin"}, "'Latin' is none of German, Chinese."),
        ({"fluency": "8"}, "'8' is no step from 1 to 7."),
        ({"fluency": "seven"}, "'seven' is no step from 1 to 7."),
        ({"fluency": "0"}, "'0' is no step from 1 to 7."),
        ({"language": " "}, "' ' is none of German, Chinese."),
    ],
)
def test_an_answer_that_is_none_is_refused_with_its_question(asking, changes, said) -> None:
    held = asking.claim("ann")
    with pytest.raises(SubmissionError) as refused:
        asking.submit("ann", held, answered(**changes))
    assert [problem.reason for problem in refused.value.problems] == [said]


def test_answers_are_stored_and_one_that_is_not_required_may_be_left_out(asking) -> None:
    held = asking.claim("ann")
    asking.submit("ann", held, answered(remark=None))
    (said,) = annotations_of(asking.database, asking.project, held.item_id)
    assert {answer.key: answer.value for answer in said.body.answers} == {"language": "Chinese", "fluency": "7"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "choice", "options": ("one",)},
        {"kind": "text", "options": ("one", "two")},
        {"kind": "scale", "steps": 1},
        {"key": "read_passages"},
    ],
)
def test_a_question_that_cannot_be_answered_is_refused(wrong) -> None:
    with pytest.raises(ValueError, match=r"needs|greater|own question"):
        QuestionConfig(**({"key": "k", "text": "Why?"} | wrong))


def test_two_questions_of_one_key_are_refused() -> None:
    question = {"key": "k", "text": "Why?"}
    with pytest.raises(ValueError, match="one key"):
        ProjectConfig.model_validate({"name": "p", "tasks": ["preference"], "questions": [question, question]})
