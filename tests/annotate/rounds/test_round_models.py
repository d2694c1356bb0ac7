"""A round with real models, small ones: trained, answered, scored and queued by the commands that people run."""

import json

import pytest
from typer.testing import CliRunner

from spanwise.annotate.exchange.imports import import_file
from spanwise.annotate.manage.listing import list_items
from spanwise.annotate.store.setup import open_project
from spanwise.cli import app
from spanwise.core.seeding import numpy_generator
from spanwise.feedback.files import write_records
from spanwise.sim.annotator import NoiseConfig, annotate
from spanwise.sim.habits import HABITS, write_demonstration
from spanwise.sim.model import base_checkpoint
from spanwise.sim.world import make_items

pytestmark = pytest.mark.slow

REWARD = """
backbone: {base}
heads: [relevance, factuality, completeness]
layers: 1
fitting: {{method: linear, state_scales: [0.1], strengths: [0.01]}}
device: cpu
"""
GENERATE = """
policy: {base}
prompts: replaced
output: replaced
decoding: sample
sampling: {{max_new_tokens: 24}}
"""
ROUND = """
reward_model: {folder}/reward.yaml
generate: {folder}/generate.yaml
prompts: {folder}/prompts.jsonl
size: 5
random_share: 0.4
"""


def test_a_round_with_real_models_and_suggestions_from_it(tmp_path):
    project = tmp_path / "project"
    generator = numpy_generator(0, "round")
    marked = [
        annotate(
            item, [write_demonstration(item, generator, HABITS).completion for _ in range(2)], generator, NoiseConfig()
        )
        for item in make_items(40, seed=0, split="feedback")
    ]
    write_records(tmp_path / "marked.jsonl", marked)
    write_records(tmp_path / "prompts.jsonl", [item.record for item in make_items(10, seed=0, split="rl")])
    database, described = open_project(project, preset_name="qa-feedback")
    assert import_file(database, described, tmp_path / "marked.jsonl", "spanwise").items == 40
    for name, text in (("reward", REWARD), ("generate", GENERATE)):
        (tmp_path / f"{name}.yaml").write_text(text.format(base=base_checkpoint()))
    (project / "round.yaml").write_text(ROUND.format(folder=tmp_path))

    run = CliRunner().invoke(app, ["annotate", "round", str(project), "--json"])
    assert run.exit_code == 0, run.output
    report = json.loads(run.stdout)
    assert (report["round"], report["exported"], report["answered"], report["queued"], report["random"]) == (
        2,
        40,
        10,
        5,
        2,
    )
    scores = json.loads((project / "rounds" / "round-1" / "scores.json").read_text())
    assert len(set(scores.values())) > 5
    assert all(0 <= score <= 1 for score in scores.values())
    fresh = [row for row in list_items(database, described, limit=200).rows if row.round == 2]
    assert sorted(row.priority for row in fresh) == [1, 2, 3, 4, 5]

    best = project / "rounds" / "round-1" / "reward" / "checkpoints" / "best"
    run = CliRunner().invoke(app, ["annotate", "suggest", str(project), str(best)])
    assert run.exit_code == 0, run.output
    assert sorted(run.stdout.splitlines()) == ["factuality: judged 45 items.", "relevance: judged 45 items."]
    database.close()
