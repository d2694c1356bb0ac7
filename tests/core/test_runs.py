import json

import numpy as np
import pytest
import torch

from spanwise.core.config import Config
from spanwise.core.errors import DataError
from spanwise.core.runs import RunFolder


def rows(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


class Settings(Config):
    """Of a run."""

    steps: int = 3
    """How many."""


def test_a_run_leaves_its_files(tmp_path):
    folder = RunFolder(tmp_path / "runs" / "one")
    folder.save_config(Settings(steps=5))
    folder.log_metrics(1, {"loss": 0.5, "tokens": 7})
    folder.log_sample(1, {"response": "Zürich 🏔", "scores": (1.0, None)})
    folder.save_results({"accuracy": 0.7})
    assert Settings.load(folder.path / "config.yaml") == Settings(steps=5)
    assert rows(folder.path / "metrics.jsonl") == [{"step": 1, "loss": 0.5, "tokens": 7}]
    assert rows(folder.path / "samples.jsonl") == [{"step": 1, "response": "Zürich 🏔", "scores": [1.0, None]}]
    assert json.loads((folder.path / "results.json").read_text()) == {"accuracy": 0.7}
    assert folder.checkpoint("best") == folder.path / "checkpoints" / "best"


def test_what_is_not_finite_is_null_at_any_depth(tmp_path):
    folder = RunFolder(tmp_path)
    folder.log_metrics(1, {"a": float("nan"), "b": float("inf"), "c": 1.0})
    folder.log_sample(1, {"shares": {"fact": [0.5, float("nan")]}})
    assert rows(tmp_path / "metrics.jsonl") == [{"step": 1, "a": None, "b": None, "c": 1.0}]
    assert rows(tmp_path / "samples.jsonl") == [{"step": 1, "shares": {"fact": [0.5, None]}}]


def test_scalars_of_numpy_and_torch_are_numbers(tmp_path):
    folder = RunFolder(tmp_path)
    folder.log_metrics(1, {"a": np.float32(0.5), "b": torch.tensor(2.0), "c": np.int64(3), "d": np.float64("nan")})
    assert rows(tmp_path / "metrics.jsonl") == [{"step": 1, "a": 0.5, "b": 2.0, "c": 3, "d": None}]


def test_a_text_that_utf8_does_not_have_stops_no_run(tmp_path):
    RunFolder(tmp_path).log_sample(1, {"response": "a\ud800\u2028b"})
    (line,) = (tmp_path / "samples.jsonl").read_bytes().decode("utf-8").split("\n")[:-1]
    assert json.loads(line)["response"] == "a\ud800\u2028b"


def test_the_step_cannot_be_overwritten(tmp_path):
    with pytest.raises(ValueError, match="name of the step itself"):
        RunFolder(tmp_path).log_metrics(1, {"step": 2.0})


@pytest.mark.parametrize("left", ['{"step": 2, "lo', "", '{"step": 2, "x": "' + "y" * 200000])
def test_a_killed_run_goes_on_with_a_whole_line(tmp_path, left):
    RunFolder(tmp_path).log_metrics(1, {"loss": 1.0})
    with (tmp_path / "metrics.jsonl").open("a") as stream:
        stream.write(left)
    resumed = RunFolder(tmp_path)
    resumed.log_metrics(2, {"loss": 0.5})
    resumed.log_metrics(3, {"loss": 0.25})
    assert rows(tmp_path / "metrics.jsonl") == [{"step": n, "loss": 2.0 ** (1 - n)} for n in (1, 2, 3)]


def test_a_file_of_half_a_line_is_begun_again(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"st')
    RunFolder(tmp_path).log_metrics(1, {"loss": 1.0})
    assert rows(tmp_path / "metrics.jsonl") == [{"step": 1, "loss": 1.0}]


def test_every_line_is_on_disk_when_it_is_logged(tmp_path):
    folder = RunFolder(tmp_path)
    for step in range(3):
        folder.log_metrics(step, {"loss": 0.0})
        assert len(rows(tmp_path / "metrics.jsonl")) == step + 1


def test_a_file_in_the_place_of_the_folder_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("x")
    for place in ("file", "file/run"):
        with pytest.raises(
            DataError, match=rf"{place}: cannot be a run folder \(.*file is a file\); choose another path"
        ):
            RunFolder(tmp_path / place)


def test_a_name_that_no_folder_can_have_is_one_sentence(tmp_path):
    with pytest.raises(DataError, match=r"cannot be a run folder \(.*\); choose another path"):
        RunFolder(tmp_path / ("x" * 300))


def test_a_run_that_writes_nothing_leaves_no_folder(tmp_path):
    folder = RunFolder(tmp_path / "runs" / "one")
    assert list(tmp_path.iterdir()) == []
    folder.log_metrics(1, {"loss": 1.0})
    assert rows(tmp_path / "runs" / "one" / "metrics.jsonl") == [{"step": 1, "loss": 1.0}]
