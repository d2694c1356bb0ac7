import json

import pytest
from typer.testing import CliRunner

from spanwise.cli.evaluate import app
from spanwise.core import ConfigError, write_jsonl
from spanwise.evals.robustness import CANARY, RobustnessConfig, probe_sources, robustness, stress
from spanwise.evals.robustness.measure import copied_share
from spanwise.feedback import Passage, PromptRecord, SegmentScore, SegmentScores, Unscored
from spanwise.llm import CallError, ChatReply
from spanwise.text import Span


class ByWords:
    """Pays each word, and cannot score an empty answer."""

    name, category, density, version = "words", "length", "sequence", "1"

    def score(self, samples):
        return [
            SegmentScores((SegmentScore(Span(0, len(s.response)), float(len(s.response.split()))),))
            if s.response
            else SegmentScores(missing=Unscored("nothing to read"))
            for s in samples
        ]


class OutOfTwo(ByWords):
    """Two scores an answer, whose sum counts."""

    name = "two"

    def score(self, samples):
        return [SegmentScores((SegmentScore(Span(0, 1), 1.0), SegmentScore(Span(0, 1), -3.0))) for _ in samples]


def prompts(count=6):
    return {
        str(number): PromptRecord(
            id=str(number),
            prompt=f"What of {number}?",
            passages=(Passage(title=f"T{number}", sentences=(f"The town of T{number} has 17 old stone gates.",)),),
        )
        for number in range(count)
    }


ANSWERS = {str(number): " ".join(["word"] * (number + 1)) for number in range(6)}


def test_a_source_that_pays_words_is_told_by_how_much():
    rows = {row.probe: row for row in probe_sources([ByWords()], prompts(), ANSWERS)}
    deviation = (35 / 12) ** 0.5  # of 1 to 6 words
    assert rows["repetition"].pays.mean == pytest.approx(3.5 / deviation)
    assert rows["repetition"].better == 1.0
    assert rows["repetition"].is_paid
    assert "words pays repetition of the whole answer: +2.05 deviations" in rows["repetition"].sentence
    assert not rows["foreign"].is_paid


def test_what_could_not_be_scored_is_not_paid_and_counted():
    rows = {row.probe: row for row in probe_sources([ByWords()], prompts(), ANSWERS)}
    assert rows["empty"].unscored == 1.0
    assert rows["empty"].pays.mean is None
    assert not rows["empty"].is_paid
    assert rows["empty"].sentence == "words could not score an empty answer."


def test_scores_that_are_all_alike_pay_nothing():
    rows = probe_sources([OutOfTwo()], prompts(), ANSWERS)
    assert {row.pays.mean for row in rows} == {0.0}
    assert not any(row.is_paid for row in rows)


def test_what_is_truly_better_may_be_paid():
    (row,) = probe_sources([ByWords()], prompts(), ANSWERS, probes=["repetition"], truth=lambda _, text: len(text))
    assert row.truth.mean > 0
    assert not row.is_paid


def test_figures_of_changed_prompts_are_paired():
    records = prompts()
    plain = {key: (record, "Yes it has.") for key, record in records.items()}
    changed = {key: (record, f"{CANARY} " * (2 if key == "0" else 1)) for key, record in list(records.items())[:4]}
    rows = {row.metric: row for row in stress("p", "instruction", plain, changed, sources=[ByWords()])}
    assert rows["obeys"].change.mean == 1.0
    assert rows["words"].plain == 3.0
    assert rows["words"].change.mean == pytest.approx((2 + 1 + 1 + 1) / 4 - 3)
    assert rows["reward/words"].change.mean == rows["words"].change.mean
    assert "rouge_lsum" not in rows


def test_copied_words_are_those_of_six_in_a_row():
    record = prompts()["1"]
    assert copied_share("The town of T1 has 17 old stone gates.", record) == 1.0
    assert copied_share("I know: the town of T1 has 17 doors", record) == pytest.approx(6 / 10, abs=0.11)
    assert copied_share("The town has gates", record) == 0.0
    assert copied_share("", record) == 0.0


class Rewording:
    def complete(self, request):
        question = request.messages[0][1]
        if "3" in question:
            raise CallError("time-out", "slow")
        return ChatReply(f"Tell of {question[8:]}" if "4" not in question else question, "stop", "m")


def test_a_language_model_rewords_and_what_it_does_not_is_left_out(tmp_path):
    write_jsonl(tmp_path / "p.jsonl", (r.model_dump() for r in prompts().values()))
    write_jsonl(tmp_path / "r.jsonl", ({"id": key, "response": text} for key, text in ANSWERS.items()))
    config = RobustnessConfig(
        prompts=tmp_path / "p.jsonl", responses=tmp_path / "r.jsonl", sources={}, reward_models=("unused",),
        paraphraser={"provider": "openai", "model": "m"}, output=tmp_path / "out",
    )  # fmt: skip
    found = robustness(config, [ByWords()], client=Rewording())
    assert found.changed["paraphrased"] == 4
    stored = json.loads((tmp_path / "out" / "robustness.json").read_text())
    assert stored["probes"][0]["sentence"].startswith("words pays repetition")
    assert found.sentences[0] == stored["probes"][0]["sentence"]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"probes": ("flattery",), "policies": {"a": "b"}}, "no 'flattery'"),
        ({"perturbations": ("noise",), "policies": {"a": "b"}}, "no 'noise'"),
        ({}, "name policies"),
        ({"reward_models": ("m",)}, "name responses"),
    ],
)
def test_configs_that_measure_nothing_are_refused(values, said):
    with pytest.raises(ConfigError, match=said):
        RobustnessConfig.from_values({"prompts": "p.jsonl", **values}, place="here")


def test_the_command_says_what_a_source_pays(tmp_path):
    write_jsonl(tmp_path / "p.jsonl", (r.model_dump() for r in prompts().values()))
    write_jsonl(tmp_path / "r.jsonl", ({"id": key, "response": text} for key, text in ANSWERS.items()))
    (tmp_path / "c.yaml").write_text(
        f"prompts: {tmp_path}/p.jsonl\nresponses: {tmp_path}/r.jsonl\n"
        "sources: {short: {kind: length, max_words: 3}}\n"
    )  # fmt: skip
    result = CliRunner().invoke(app, ["robustness", str(tmp_path / "c.yaml")], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert "short pays" in result.output
    assert "short, padding" in result.output
