import gzip
import json
from pathlib import Path

import pytest

from experiments.qa_feedback.data import (
    DEMONSTRATION_FILES,
    FEEDBACK_FILE,
    folds_by_question,
    load_demonstrations,
    load_feedback,
    shortened,
)
from spanwise.core.errors import ConfigError, DataError
from spanwise.feedback.prompts import PromptRecord
from spanwise.feedback.schema import FeedbackRecord, Passage, Response
from spanwise.reward_models.config import FactualityRule, RelevanceRule, RewardModelConfig
from spanwise.reward_models.data.labels import label_records
from spanwise.rl.config import RLConfig
from spanwise.training.config import SFTRunConfig

RECIPE = Path(__file__).parents[3] / "recipes" / "qa_feedback"
DATA = Path(__file__).parents[3] / ".." / "shared" / "data" / "qa_feedback"
needs_data = pytest.mark.skipif(not DATA.exists(), reason="the QA-Feedback files are not beside the checkout")


def record(number, question):
    return FeedbackRecord(id=str(number), prompt=question, responses=(Response(text="Yes."),))


def test_records_of_one_question_share_a_fold():
    records = [record(number, f"question {number // 2}") for number in range(20)]
    folds = folds_by_question(records, count=5, seed=0)
    assert folds[::2] == folds[1::2]
    assert sorted(folds) == sorted(list(range(5)) * 4)


def test_folds_follow_from_the_questions_and_the_seed_alone():
    records = [record(number, f"question {number}") for number in range(12)]
    forth = folds_by_question(records, count=3, seed=1)
    assert folds_by_question(records[::-1], count=3, seed=1) == forth[::-1]
    assert folds_by_question(records, count=3, seed=2) != forth


@pytest.mark.parametrize("count", [1, 4])
def test_too_few_questions_for_the_folds_are_refused(count):
    with pytest.raises(ConfigError, match="3 questions cannot make"):
        folds_by_question([record(number, f"q{number}") for number in range(3)], count=count, seed=0)


def test_shortening_keeps_what_the_question_asks_for():
    passages = (
        Passage(title="Bloom", sentences=("Bloom came out in August 2018.", "It has guests from other countries.")),
        Passage(title="Sivan", sentences=("Sivan was born in South Africa.",)),
    )
    prompt = PromptRecord(prompt="When did Bloom come out?", passages=passages)
    short = shortened(prompt, words=6)
    assert short.excerpt == (Passage(title="Bloom", sentences=passages[0].sentences[:1]),)
    assert short.passages == passages
    expected = (
        "question: When did Bloom come out? context: wikipage: Bloom text: Bloom came out in August 2018. answer:"
    )
    assert short.model_input == expected
    assert shortened(prompt, words=1) == shortened(prompt, words=6)  # the nearest sentence stays in any case
    assert shortened(prompt, words=100).model_input == prompt.model_input


def test_a_damaged_record_stops_the_reading(tmp_path):
    with gzip.open(tmp_path / FEEDBACK_FILE, "wt") as stream:
        json.dump([{"question": "?"}], stream)
    with pytest.raises(DataError, match=r"dev_feedback.json.gz:1: item 0: .*more problems"):
        load_feedback(tmp_path)


@pytest.mark.parametrize(("name", "kind"), [("sft", SFTRunConfig), ("reward", RewardModelConfig), ("rl", RLConfig)])
def test_the_recipe_is_made_of_configs_that_are_read(name, kind):
    config = kind.load(RECIPE / f"{name}.yaml")
    assert config.run_dir == Path("runs/qa_feedback") / name


@needs_data
def test_the_published_counts_come_out():
    records = load_feedback(DATA)
    assert len(records) == 500
    assert sum(len(response.spans) for item in records for response in item.responses) == 1373
    demonstrations = load_demonstrations(DATA)
    assert len(demonstrations) == 1000 == 500 * len(DEMONSTRATION_FILES)
    per_passage = [len(passage.sentences) for item in demonstrations for passage in item.passages]
    assert sum(per_passage) / len(per_passage) == pytest.approx(8.8, abs=1.0)  # as in the marked records
    assert not {item.prompt for item in demonstrations} & {item.prompt for item in records}


@needs_data
def test_labels_agree_with_the_authors_counts():
    spans = {"relevance": RelevanceRule(), "factuality": FactualityRule()}
    labelled, _ = label_records(load_feedback(DATA), spans=spans, preference=False)
    correct = {
        head: [label.correct for item in labelled for labels in item.segments[head].values() for label in labels]
        for head in spans
    }
    assert correct["relevance"].count(0.0) == pytest.approx(1362, abs=10)
    assert correct["relevance"].count(1.0) == pytest.approx(1342, abs=10)
    assert correct["factuality"].count(0.0) == pytest.approx(282, abs=5)
    assert correct["factuality"].count(1.0) == pytest.approx(528, abs=8)
