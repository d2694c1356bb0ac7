"""Several processes: parts that make the whole, and gradients and metrics of one process (two real ones: slow)."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from doubles.rl_world import PROMPTS, ScriptedSource, batch_of, pay_each, pipeline_of, small_trainer, word_policy
from doubles.two_processes import KINDS

from spanwise.core.errors import ConfigError, TrainingError
from spanwise.models.config import Sampling
from spanwise.rl.rollout import RolloutMaker, joined
from spanwise.rl.runtime.budget import Budget
from spanwise.training.processes import Processes

TESTS = Path(__file__).parents[1]
PATHS = os.pathsep.join(filter(None, [str(TESTS), os.environ.get("PYTHONPATH")]))


@pytest.mark.parametrize(("items", "count"), [(7, 2), (2, 2), (9, 4), (3, 1)])
def test_shares_follow_each_other_and_are_nearly_equal(items, count):
    shares = [Processes(rank, count).share(range(items)) for rank in range(count)]
    assert [item for share in shares for item in share] == list(range(items))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


class Deaf(Processes):
    """One of several processes that hears nothing of the others: its sums are its own."""

    def add_up(self, tensors):
        pass

    def add_up_numbers(self, numbers):
        return dict(numbers)


@pytest.mark.parametrize("settings", [{}, {"update": {"micro_batch_tokens": 20}}, {"value_backbone": "policy"}])
def test_what_processes_gather_of_a_minibatch_adds_up_to_it(tmp_path, settings):
    trainer = small_trainer(tmp_path, **settings)
    trainer.step(1)
    batch = batch_of(trainer, 2)
    optimizers = trainer.updater._optimizers.values()

    def gathered(processes):
        trainer.budget.processes = processes
        metrics = trainer.updater.accumulate(batch)
        return [g.clone() for optimizer in optimizers for g in optimizer.gradients()], metrics

    whole, metrics = gathered(Processes())
    parts = [gathered(Deaf(rank, 3)) for rank in range(3)]
    for place, gradient in enumerate(whole):
        torch.testing.assert_close(sum(part[0][place] for part in parts), gradient, rtol=1e-4, atol=1e-6)
    for name, value in metrics.items():
        assert sum(part[1].get(name, 0.0) for part in parts) == pytest.approx(value, rel=1e-4, abs=1e-6)


def test_more_processes_than_rows_leave_some_without_any(tmp_path):
    trainer = small_trainer(tmp_path)
    inputs = batch_of(trainer).inputs
    rows = []
    for rank in range(12):
        trainer.budget.processes = Deaf(rank, 12)
        rows += [row for part in trainer.budget.parts(inputs) for row in part.tolist()]
    assert sorted(rows) == list(range(8))


def test_the_parts_of_a_rollout_join_to_it():
    policy = word_policy()
    maker = RolloutMaker(policy, pipeline_of(ScriptedSource(pay_each)), max_prompt_tokens=32)

    def sample(records):
        return maker.sample(
            records,
            sampling=Sampling(max_new_tokens=6, top_k=3),
            samples_per_prompt=2,
            generator=torch.Generator().manual_seed(0),
        )

    parts = [sample(PROMPTS[:1]), sample(PROMPTS[1:4])]
    whole = joined(parts, pad_id=policy.pad_id, prompt_side="left")
    assert len(whole.samples) == len(whole.tokens) == len(whole.scores.raw) == 8
    start = 0
    for part in parts:
        rows = slice(start, start + len(part.samples))
        start = rows.stop
        width, total = part.responses.ids.shape[1], part.scores.total
        assert torch.equal(whole.responses.ids[rows, :width], part.responses.ids)
        assert torch.equal(whole.responses.support[rows, :width], part.responses.support)
        assert torch.equal(whole.responses.logprobs[rows].sum(1), part.responses.logprobs.sum(1))
        assert torch.equal(whole.responses.lengths[rows], part.responses.lengths)
        assert torch.equal(whole.prompts.lengths[rows], part.prompts.lengths)
        prompts = whole.prompts.select(torch.arange(rows.start, rows.stop))
        assert torch.equal(prompts.ids[prompts.mask], part.prompts.ids[part.prompts.mask])
        assert torch.equal(whole.scores.total[rows, : total.shape[1]], total)


def test_too_few_prompts_for_the_processes_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="prompts_per_step=4 leaves some of 5 processes without a prompt"):
        small_trainer(tmp_path, processes=Processes(0, 5))


class Among(Deaf):
    """The same, while another process makes three passes over each minibatch."""

    def gather(self, part):
        return [part, 3]


def test_in_lockstep_who_has_fewer_passes_reads_for_nothing(tmp_path):
    trainer = small_trainer(tmp_path, update={"micro_batch_size": 4})
    batch = batch_of(trainer)
    trainer.budget.processes = Among(0, 2, splits=True)

    def gathered(lockstep):
        trainer.budget.lockstep = lockstep
        metrics = trainer.updater.accumulate(batch)
        return [g.clone() for optimizer in trainer.updater._optimizers.values() for g in optimizer.gradients()], metrics

    free, alike = gathered(False), gathered(True)
    assert [counts for _rows, counts in trainer.budget.passes(batch.inputs)] == [True, False, False]
    assert free[1] == alike[1]
    for expected, found in zip(free[0], alike[0], strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=0)


def test_what_split_weights_cannot_have_is_refused(tmp_path, monkeypatch):
    two = Processes(0, 2, splits=True)
    with pytest.raises(ConfigError, match="compile=true does not go with weights split"):
        small_trainer(tmp_path, compile=True, processes=two)
    monkeypatch.setenv("FSDP_VERSION", "2")
    monkeypatch.setenv("FSDP_OFFLOAD_PARAMS", "true")
    with pytest.raises(ConfigError, match="fsdp_offload_params, which there is not here"):
        small_trainer(tmp_path, processes=two)

    def full():
        raise torch.OutOfMemoryError

    with pytest.raises(TrainingError, match=r"weights split over processes; lower update\.micro_batch_tokens"):
        Budget(4, lockstep=True).spend(full)


@pytest.mark.slow
@pytest.mark.parametrize("split", [False, True], ids=["whole weights", "split weights"])
def test_two_processes_give_the_gradients_weights_and_metrics_of_one(tmp_path, split):
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": PATHS}
    fsdp = {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2"} if split else {}
    done = subprocess.run(
        [*launch, "-m", "doubles.two_processes", str(tmp_path / "two")],
        capture_output=True, text=True, check=False, env=environment | fsdp,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    subprocess.run([sys.executable, "-m", "doubles.two_processes", str(tmp_path / "one")], check=True, env=environment)
    for kind in KINDS:
        one, two = (torch.load(tmp_path / name / f"{kind}.pt") for name in ("one", "two"))
        assert one["metrics"] == pytest.approx(two["metrics"], rel=1e-3, abs=1e-5)
        for part in ("tensors", "weights"):
            assert one[part].keys() == two[part].keys()
            for name, tensor in one[part].items():
                torch.testing.assert_close(two[part][name], tensor, rtol=1e-3, atol=1e-5)
    runs = [logged(tmp_path / "two" / name) for name in ("run", "again")]
    assert [row["step"] for row in runs[0]] == [0, 1, 2, 3]
    assert runs[0] == runs[1]  # what went on after its second step, to the last bit
    folders = {path.name for path in (tmp_path / "two" / "run" / "checkpoints").iterdir()}
    assert folders == {"best", "last", "step-000001", "step-000002", "step-000003"}


def logged(folder: Path) -> list[dict[str, float]]:
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in row.items() if not name.startswith("time/")} for row in rows]
