"""Everything that the study on comments starts from is trained once, measured, and found again."""

import json

import pytest
from doubles.reward_world import tiny_bert

from experiments.detox.data import Comments
from experiments.detox.page import detox_page
from experiments.detox.policy import CommentModelConfig
from experiments.detox.prepare import Preparation, PreparationConfig
from experiments.detox.scorers import ClassifierConfig
from spanwise.feedback.schema import FeedbackRecord, Response, mark
from spanwise.reward_models.config import FittingConfig

TINY = CommentModelConfig(hidden=32, layers=1, epochs=1, max_length=24)


def comment(number):
    text = f"The house number {number} is what others say. You are a fool. The others say house {number}."
    start = text.index("fool")
    response = Response(text=text, marked=True, spans=(mark(text, start, start + 4, "toxic"),))
    return FeedbackRecord(id=f"c-{number}", prompt="", responses=(response,))


@pytest.fixture
def preparation(tmp_path):
    records = tuple(comment(number) for number in range(24))
    config = PreparationConfig(
        policy=TINY,
        reader=TINY.model_copy(update={"seed": 1}),
        judge=ClassifierConfig(layers=1, batch_size=4, learning_rate=1e-2),
        span_layers=1,
        span_fitting=FittingConfig(epochs=1, batch_size=4),
    )
    return Preparation(
        tmp_path, Comments(records[:15], records[15:20], records[20:], 1), tiny_bert, config, lambda text: None
    )


def test_a_task_is_prepared_once(preparation):
    task = preparation.task()
    assert task.prompts[0].model_input == "The house number 0 is what others say. You are"
    assert task.policy.exists()
    files = {path: path.stat().st_mtime_ns for path in preparation.folder.rglob("*.safetensors")}
    versions = task.paying.version, task.judge.version, task.marked.version
    again = preparation.task()
    assert (again.paying.version, again.judge.version, again.marked.version) == versions
    assert {path: path.stat().st_mtime_ns for path in preparation.folder.rglob("*.safetensors")} == files


def test_scorers_and_spans_are_measured_on_the_trial_comments(preparation):
    scorers, spans = preparation.scorers(), preparation.span_model()
    assert scorers["paying"]["auroc"] == 1.0, "the linear scorer knows the one marked word"
    assert scorers["paying"]["texts"] == scorers["judge"]["texts"] == 5 * 4
    assert spans["lexicon"]["trial"]["mean"] == 1.0
    assert spans["both"]["trial"]["n"] == 4
    assert json.loads((preparation.folder / "spans.json").read_text()) == spans
    page = detox_page([], scorers, spans, "make toy")
    assert "| lexicon alone |" in page
    assert f"`{scorers['judge']['version']}`" in page
