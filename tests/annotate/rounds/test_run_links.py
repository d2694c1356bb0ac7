"""Links in a folder of runs: what lies elsewhere on the disk is not shown."""

import json

import pytest

from spanwise.annotate.rounds.runs import CONFIG, METRICS, SAMPLES, RunIndex


@pytest.mark.parametrize("name", [CONFIG, SAMPLES, METRICS])
def test_a_linked_file_of_a_run_is_not_followed_out_of_the_root(tmp_path, name):
    secret = tmp_path / "secret"
    secret.write_text(json.dumps({"step": 1, "secret": 1.0}) + "\n")
    run = tmp_path / "runs" / "one"
    run.mkdir(parents=True)
    for file in {CONFIG, SAMPLES, METRICS} - {name}:
        (run / file).write_text(json.dumps({"step": 1, "loss": 1.0}) + "\n")
    (run / name).symlink_to(secret)
    index = RunIndex(tmp_path / "runs")
    rows = index.rows()
    shown = [index.config(row.id) + str(index.curves(row.id)) + str(index.samples(row.id)) for row in rows]
    assert "secret" not in "".join(shown)
    assert name == METRICS or len(rows) == 1
    (run / name).unlink()
    (run / "inside").write_text(json.dumps({"step": 1, "near": 1.0}) + "\n")
    (run / name).symlink_to(run / "inside")
    index = RunIndex(tmp_path / "runs")
    shown = [index.config(row.id) + str(index.curves(row.id)) + str(index.samples(row.id)) for row in index.rows()]
    assert name == METRICS or "near" in "".join(shown)
