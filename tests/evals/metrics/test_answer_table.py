import json

import pytest

from spanwise.core.errors import ConfigError, DataError
from spanwise.evals.metrics.answer_table import evaluate
from spanwise.evals.metrics.config import EvaluateConfig
from spanwise.evals.statistics.results import ExperimentResults
from spanwise.feedback.scores import SegmentScore, SegmentScores, Unscored
from spanwise.text.spans import Span


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def prompts(path, count=12):
    rows = [{"id": f"q{i}", "prompt": f"Question {i}?", "references": ["Ada was born in Oslo."]} for i in range(count)]
    return write(path / "prompts.jsonl", rows)


def responses(path, name, text, *, count=12, order=1, **more):
    rows = [
        {"id": f"q{i}", "prompt": f"Question {i}?", "response": text, "truncated": i == 0, **more} for i in range(count)
    ]
    return write(path / name, rows[::order])


def config(path, **more):
    values = {
        "prompts": prompts(path),
        "responses": responses(path, "new.jsonl", "Ada was born in Oslo."),
        "resamples": 200,
    }
    return EvaluateConfig(**(values | more))


def test_answers_are_measured_against_their_references(tmp_path):
    found = evaluate(config(tmp_path)).arms["responses"].metrics
    assert found["rouge_lsum"].mean == 1.0
    assert (found["words"].mean, found["words"].low, found["words"].high) == (5.0, 5.0, 5.0)
    assert found["truncated"].mean == pytest.approx(1 / 12)
    assert "tokens" not in found


def test_a_baseline_is_compared_prompt_by_prompt_whatever_its_order(tmp_path):
    other = responses(tmp_path, "old.jsonl", "Ada was.", order=-1, tokens=7)
    results = evaluate(config(tmp_path, baseline=other, output=tmp_path / "out"))
    verdicts = {one.metric: (one.verdict, one.difference.mean) for one in results.comparisons}
    assert verdicts["rouge_lsum"][0] == "not held"
    assert verdicts["words"] == ("higher", 3.0)
    assert "tokens" not in verdicts  # only one of the files tells them
    assert ExperimentResults.load(tmp_path / "out") == results


def test_several_samples_of_a_prompt_count_as_their_mean(tmp_path):
    rows = [{"id": f"q{i}", "response": "one " * words} for i in range(12) for words in (2, 4)]
    found = evaluate(config(tmp_path, responses=write(tmp_path / "r.jsonl", rows))).arms["responses"].metrics["words"]
    assert (found.mean, found.n) == (3.0, 12)


def test_reward_sources_score_the_answers_and_their_failures_are_counted(tmp_path):
    class Source:
        name, category, density, version = "facts", "factuality", "sentence", "1"

        def score(self, samples):
            fine = SegmentScores((SegmentScore(Span(0, 3), 0.5),))
            return [SegmentScores(missing=Unscored("down")) if "3" in one.prompt else fine for one in samples]

    found = evaluate(config(tmp_path), [Source()])
    reward = found.arms["responses"].metrics["reward/facts"]
    assert (reward.mean, reward.n, reward.unscored) == (0.5, 11, 1)
    assert found.metrics["reward/facts"].better == "higher"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda rows: rows[1:], r"no response to 'q0' .*\(1 without response, 0 without prompt\)"),
        (lambda rows: [*rows, {"id": "z", "response": "r"}], r"answers 'z', which is no prompt .*\(0 .*, 1 "),
        (lambda rows: [rows[0] | {"prompt": "Another?"}, *rows[1:]], r"response 1 has id 'q0' but another prompt"),
        (lambda rows: [{"response": "r"}, *rows], r"r\.jsonl:1: .*required"),
        (lambda rows: [], r"no records"),
    ],
)
def test_answers_to_other_prompts_are_refused_by_name(tmp_path, change, words):
    rows = [json.loads(line) for line in responses(tmp_path, "r.jsonl", "text").read_text("utf-8").splitlines()]
    with pytest.raises(DataError, match=words):
        evaluate(config(tmp_path, responses=write(tmp_path / "r.jsonl", change(rows))))


def test_prompts_without_ids_go_by_their_number(tmp_path):
    asked = write(tmp_path / "p.jsonl", [{"prompt": "A?"}, {"prompt": "B?"}])
    answered = write(
        tmp_path / "r.jsonl", [{"id": "1", "prompt": "B?", "response": "b c"}, {"id": "0", "response": "a"}]
    )
    found = evaluate(config(tmp_path, prompts=asked, responses=answered)).arms["responses"].metrics
    assert found["words"].mean == 1.5
    assert "rouge_lsum" not in found


def test_unknown_keys_and_bad_levels_are_refused():
    for values in ({"response": "x"}, {"prompts": "p", "responses": "r", "level": 95}):
        with pytest.raises(ConfigError):
            EvaluateConfig.from_values(values, place="config.yaml")
