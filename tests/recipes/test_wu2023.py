"""The recipe of Wu et al. 2023: the authors' names and layout, the paper's settings, and every step at toy size."""

import gzip
import hashlib
import json
from pathlib import Path

import pytest
import yaml
from doubles.models import tiny_t5

from recipes.lib.upstream import SUMS, UpstreamFile, blob_id, check, fetch_all
from recipes.wu2023 import toy
from recipes.wu2023.fetch import BLOBS, FILES
from recipes.wu2023.prepare import prepare
from spanwise.core.errors import DataError
from spanwise.feedback import DemonstrationRecord, FeedbackRecord, PromptRecord, load_or_raise
from spanwise.models import Policy
from spanwise.rl import RLConfig
from spanwise.setup.checks import load_any

RECIPE = Path(__file__).parents[2] / "recipes" / "wu2023"
DATA = Path(__file__).parents[2] / ".." / "shared" / "data" / "qa_feedback"
needs_data = pytest.mark.skipif(not DATA.exists(), reason="the QA-Feedback files are not beside the checkout")


def test_every_step_runs_from_the_authors_layout(tmp_path):
    toy.run(tmp_path)
    assert len(load_or_raise(tmp_path / "data" / "train_feedback.jsonl", FeedbackRecord)) == 12
    for name in ("rel", "fact", "comp", "pref"):
        assert json.loads((tmp_path / name / "results.json").read_text())["reward_models"]
    for name in ("rl", "preference", "mended"):
        metrics = [json.loads(line) for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]
        assert any("reward/total" in row for row in metrics)
    assert (tmp_path / "evaluation" / "results.json").is_file()


def test_settings_are_those_of_the_paper():
    fine, holistic = (RLConfig.load(RECIPE / f"{name}.yaml") for name in ("rl", "preference"))
    weights = {name: source.weight for name, source in fine.mixture.sources.items()}
    assert weights == {"relevance": 0.3, "factuality": 0.5, "completeness": 0.3}
    assert fine.reward_models["rel"].hard
    assert fine.reward_models["fact"].hard
    assert (fine.kl.coef, holistic.kl.coef) == (0.3, 0.2)
    assert (fine.ppo.gae_lambda, holistic.ppo.gae_lambda) == (0.95, 0.99)
    assert fine.steps * fine.rollout.responses_per_step() == 80_000
    assert (fine.rollout.max_prompt_tokens, fine.sampling.max_new_tokens, fine.sampling.top_k) == (1024, 200, 20)
    assert fine.policy_optimizer.warmup_ratio * fine.steps == 100
    sft = yaml.safe_load((RECIPE / "sft.yaml").read_text())
    assert (sft["policy"], sft["epochs"], sft["batch_size"]) == ("google-t5/t5-large", 10, 4)


def test_every_config_loads():
    assert len([load_any(path) for path in sorted(RECIPE.glob("*.yaml"))]) == 9


@needs_data
def test_files_at_hand_are_those_of_the_authors_tree():
    for file in FILES:
        if file.name in ("dev.json", "dev_feedback.json"):
            check(file, DATA)
    assert set(BLOBS) == {
        "train.json",
        "train_1k.json",
        "train_feedback.json",
        "dev.json",
        "dev_feedback.json",
        "test.json",
    }


def test_a_blob_id_is_gits():
    assert blob_id(b"what is up, doc?") == "bd9dbf5aae1a3862dd1526723246b20206e5fc37"


def test_another_file_is_refused_and_the_first_download_remembered(tmp_path):
    (tmp_path / "a.json").write_bytes(b"[]")
    with pytest.raises(DataError, match="is not the file that upstream published"):
        check(UpstreamFile("a.json", "https://example.org/a.json", blob="0" * 40), tmp_path)
    unknown = UpstreamFile("a.json", "https://example.org/a.json")
    fetch_all([unknown], tmp_path)
    assert (tmp_path / SUMS).read_text() == f"{hashlib.sha256(b'[]').hexdigest()}  a.json\n"
    fetch_all([unknown], tmp_path)
    (tmp_path / "a.json").write_bytes(b"[1]")
    with pytest.raises(DataError, match="another file than the one first downloaded"):
        fetch_all([unknown], tmp_path)


def test_a_prompt_that_is_too_long_loses_its_last_sentences_for_the_policy_alone(tmp_path):
    toy.write_upstream(tmp_path)
    for name in BLOBS:  # compressed files are read under the same names
        content = (tmp_path / name).read_bytes()
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(content))
        (tmp_path / name).unlink()
    Policy(*tiny_t5()).save(tmp_path / "t5")
    policy = Policy.load(tmp_path / "t5")
    prepare(tmp_path, tmp_path / "whole", policy=str(tmp_path / "t5"), max_prompt_tokens=1024)
    whole = load_or_raise(tmp_path / "whole" / "prompts.jsonl", PromptRecord)
    lengths = sorted(len(policy.encode_prompt(record)) for record in whole)
    prepare(tmp_path, tmp_path / "cut", policy=str(tmp_path / "t5"), max_prompt_tokens=lengths[0] - 1)
    cut = load_or_raise(tmp_path / "cut" / "prompts.jsonl", PromptRecord)
    assert all(len(policy.encode_prompt(record)) < lengths[0] for record in cut)
    assert [record.passages for record in cut] == [record.passages for record in whole]
    assert all(len(record.read_passages[0].sentences) < 3 for record in cut)


def test_a_missing_file_is_named_with_the_command_that_gets_it(tmp_path):
    toy.write_upstream(tmp_path)
    (tmp_path / "train_feedback.json").unlink()
    Policy(*tiny_t5()).save(tmp_path / "t5")
    with pytest.raises(DataError, match=r"train_feedback.json: is not there; `python -m recipes.wu2023.fetch"):
        prepare(tmp_path, tmp_path / "out", policy=str(tmp_path / "t5"), max_prompt_tokens=1024)


@needs_data
def test_the_authors_own_layout_is_read_in_full(tmp_path):
    """The dev files stand in for the large ones, which have the same layout."""
    for name in BLOBS:
        source = DATA / ("dev_feedback.json.gz" if "feedback" in name else "dev.json.gz")
        (tmp_path / f"{name}.gz").write_bytes(source.read_bytes())
    Policy(*tiny_t5()).save(tmp_path / "t5")
    prepare(tmp_path, tmp_path / "data", policy=str(tmp_path / "t5"), max_prompt_tokens=1 << 20)
    assert len(load_or_raise(tmp_path / "data" / "train_feedback.jsonl", FeedbackRecord)) == 500
    learned = load_or_raise(tmp_path / "data" / "demonstrations.jsonl", DemonstrationRecord)
    assert len(learned) == 500
    assert learned[0].passages[0].sentences[1:], "a passage is cut into sentences"
