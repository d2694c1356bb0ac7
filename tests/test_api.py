"""The names that `import spanwise` offers: what they cost, and the short way from marks to a better policy."""

import json
import math
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import yaml
from doubles import reward_world
from doubles.feedback import small_item
from doubles.rl_world import PROMPTS, SMALL, ScriptedSource, pay_each, word_policy
from typer.testing import CliRunner

import spanwise as sw
from spanwise.cli import app
from spanwise.core import ConfigError, DataError, RunFolder
from spanwise.feedback import write_records

LIGHT = {
    "DPOConfig", "DemonstrationRecord", "EditPair", "FeedbackRecord", "MixtureConfig", "PromptRecord",
    "RewardModelConfig", "RewardSource", "SFTConfig", "Sample", "Sampling", "ScoreTable", "SegmentScore",
    "SegmentScores", "SourceWeight", "Span", "SpanMark", "SpanwiseError", "TrainerConfig", "Unscored", "align_texts",
    "describe", "get_segmenter", "load_feedback",
}  # fmt: skip
"""Names that an installation without extras gives."""
QUICK = {"epochs": 2, "batch_size": 8}


def loaded_by(program: str) -> set[str]:
    """The packages that a fresh interpreter has loaded after `program`."""
    listing = "import sys; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", f"{program}\n{listing}"], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_the_package_loads_no_room() -> None:
    assert not loaded_by("import spanwise") & {"torch", "transformers", "numpy", "pydantic", "yaml", "rich", "typer"}


def test_light_names_load_no_torch() -> None:
    program = f"import spanwise\nfor name in {sorted(LIGHT)}: getattr(spanwise, name)"
    assert not loaded_by(program) & {"torch", "transformers", "scipy", "matplotlib"}
    assert set(sw.__all__) > LIGHT


def test_the_version_is_the_package_s() -> None:
    root = Path(__file__).parents[1]
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    assert sw.__version__ == version("spanwise") == project["version"]
    assert yaml.safe_load((root / "CITATION.cff").read_text())["version"] == sw.__version__
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.stdout) == (0, f"spanwise {sw.__version__}\n")
    with pytest.raises(AttributeError, match="nonsense"):
        sw.nonsense  # noqa: B018 - the look-up is the test


def test_feedback_is_loaded_whole_or_refused(tmp_path) -> None:
    records = reward_world.records(3)
    write_records(tmp_path / "marks.jsonl", records)
    (tmp_path / "items.json").write_text(json.dumps([small_item()]))
    assert sw.load_feedback(str(tmp_path / "marks.jsonl")) == records
    assert len(sw.load_feedback(tmp_path / "items.json", format="qa-feedback")) == 1
    with pytest.raises(ConfigError, match="'csv' is no format that can be read; choose one of spanwise, table"):
        sw.load_feedback(tmp_path / "marks.jsonl", format="csv")
    (tmp_path / "bad.jsonl").write_text('{"prompt": 1}\n')
    with pytest.raises(DataError, match=r"bad\.jsonl: is a file of prompts"):
        sw.load_feedback(tmp_path / "bad.jsonl")


@pytest.fixture(name="encoder", scope="module")
def folder_of_a_tiny_encoder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("encoder")
    for part in reward_world.tiny_bert():
        part.save_pretrained(folder)
    return folder


@pytest.fixture(name="model", scope="module")
def trained_reward_model(encoder, tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("runs") / "reward"
    heads = ("relevance", "factuality")
    model = sw.RewardModel.train(reward_world.records(12), encoder, heads=heads, run_dir=run_dir, fitting=QUICK)
    return model, run_dir


def test_a_reward_model_is_trained_kept_and_loaded(model, tmp_path) -> None:
    trained, run_dir = model
    assert set(trained.quality) == {"relevance", "factuality"}
    assert (run_dir / "metrics.jsonl").exists()
    trained.save_pretrained(tmp_path / "kept")
    answer = reward_world.records(1)[0].responses[0].text
    samples = [sw.Sample("what was house 0 called ?", answer)]
    for folder in (tmp_path / "kept", run_dir / "checkpoints" / "best"):
        loaded = sw.RewardModel.from_pretrained(folder, device="cpu")
        assert loaded.quality == {}
        assert loaded.version == trained.version
        assert loaded.score_all(samples) == trained.score_all(samples)
    assert [source.name for source in trained.sources()] == ["relevance", "factuality"]


def test_a_reward_model_is_trained_from_files_and_writes_nothing_unless_told(encoder, tmp_path, monkeypatch) -> None:
    write_records(tmp_path / "marks.jsonl", reward_world.records(8))
    monkeypatch.chdir(tmp_path)
    model = sw.RewardModel.train("marks.jsonl", encoder, heads=["relevance"], heldout="marks.jsonl", fitting=QUICK)
    assert isinstance(model, sw.RewardModel)
    assert [path.name for path in tmp_path.iterdir()] == ["marks.jsonl"]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"poolin": "last"}, "RewardModel.train: unknown key poolin; did you mean pooling?"),
        ({"heads": ("tone",)}, "no head is called 'tone'"),
        ({"data": ("a.jsonl",)}, "data is for the command line; pass records and heldout"),
    ],
)
def test_wrong_settings_of_a_reward_model_are_refused(encoder, settings, sentence) -> None:
    with pytest.raises(ConfigError) as refusal:
        sw.RewardModel.train(reward_world.records(4), encoder, **settings)
    assert sentence in str(refusal.value)


def test_a_run_folder_is_not_written_over(encoder, model) -> None:
    with pytest.raises(ConfigError, match="holds a run already"):
        sw.RewardModel.train(reward_world.records(4), encoder, run_dir=model[1])


def test_a_policy_is_trained_with_sources_of_one_s_own(tmp_path) -> None:
    sources = [ScriptedSource(pay_each)]
    run = sw.train_policy(
        word_policy(), sources, PROMPTS, PROMPTS[:3], weights={"script": 1}, run_dir=tmp_path / "rl", **SMALL
    )
    assert run.metrics["best_reward"] == max(run.metrics["first_reward"], run.metrics["last_reward"])
    assert run.checkpoint == tmp_path / "rl" / "checkpoints" / "best"
    assert sw.Policy.load(run.checkpoint).window == 64
    # Told again with the same start, the finished run is found and gives the same.
    again = sw.train_policy(
        word_policy(), sources, PROMPTS, PROMPTS[:3], weights={"script": 1}, run_dir=tmp_path / "rl", **SMALL
    )
    assert again == run
    sw.write_report([run.run_dir], tmp_path / "report.html")
    assert (tmp_path / "report.html").stat().st_size


def test_a_policy_is_trained_from_files(model, tmp_path) -> None:
    word_policy().save(tmp_path / "policy")
    write_records(tmp_path / "prompts.jsonl", PROMPTS)
    paths = [tmp_path / "prompts.jsonl"] * 2
    weights = {"factuality": sw.SourceWeight(weight=0.5, missing="mask")}
    reward = model[1] / "checkpoints" / "best"
    run = sw.train_policy(tmp_path / "policy", str(reward), *paths, weights=weights, run_dir=tmp_path / "rl", **SMALL)
    assert math.isfinite(run.metrics["last_reward"])
    assert run.run_dir == tmp_path / "rl"


def test_wrong_weights_and_settings_of_a_policy_run_are_refused(model, tmp_path) -> None:
    rest = {"run_dir": tmp_path / "rl", "rewards": model[0], "prompts": PROMPTS, "heldout": PROMPTS}
    with pytest.raises(ConfigError, match="no head 'tone'; it has relevance, factuality"):
        sw.train_policy(word_policy(), weights={"tone": 1.0}, **rest)
    with pytest.raises(ConfigError, match="train_policy: unknown key stepz; did you mean steps"):
        sw.train_policy(word_policy(), weights={"relevance": 1.0}, stepz=3, **rest)
    with pytest.raises(ConfigError, match="train_policy: weights: sources"):
        sw.train_policy(word_policy(), weights={}, **rest)
    assert not (tmp_path / "rl").exists()


def test_policies_learn_from_demonstrations_and_from_edits(tmp_path) -> None:
    demonstrations = [sw.DemonstrationRecord(**record.model_dump(), completion="good sun") for record in PROMPTS[:4]]
    tuned = sw.train_sft(word_policy(), demonstrations, demonstrations, run_dir=tmp_path / "sft", epochs=1)
    assert tuned.checkpoint == RunFolder(tmp_path / "sft").checkpoint("best")
    pairs = [sw.EditPair(id=str(i), prompt="sun", original="bad sun", edited="good sun") for i in range(4)]
    edited = sw.train_dpo(str(tuned.checkpoint), pairs, pairs, run_dir=tmp_path / "dpo", epochs=1)
    assert edited.checkpoint.is_dir()
    with pytest.raises(ConfigError, match="train_sft: unknown key lr"):
        sw.train_sft(word_policy(), demonstrations, demonstrations, run_dir=tmp_path / "other", lr=1.0)
    with pytest.raises(ConfigError, match="holds a run already"):
        sw.train_dpo(word_policy(), pairs, pairs, run_dir=tmp_path / "dpo")


def test_two_tables_are_compared_in_words() -> None:
    values = np.random.default_rng(0).normal(size=60)
    low, high = (
        sw.ScoreTable.from_values({str(i): float(v) + shift for i, v in enumerate(values)}) for shift in (0.0, 1.0)
    )
    middle = sw.ScoreTable.from_values({str(i): float(v) + 0.5 for i, v in enumerate(values)})
    assert sw.compare(high, low).verdict == "not held"
    assert sw.compare(high, low, rivals={"greedy": middle}).verdict == "better"
    assert sw.compare(middle, low, rivals={"greedy": high}).verdict == "sharpens"
    assert sw.compare(high, low, better="lower").verdict == "worse"
    assert sw.compare(low, low).verdict == "no clear difference"
