"""The loop of epochs keeps the best one, clips gradients, and logs every step and every judgement."""

import json

import pytest
import torch
from torch import nn

from spanwise.core.runs import RunFolder
from spanwise.reward_models.config import FittingConfig, RewardModelConfig
from spanwise.reward_models.fitting.epochs import run_epochs


class Slope:
    """A line through zero, pushed up by `pull` times its examples; its epochs are judged by a script."""

    title = "slope"

    def __init__(self, scores, *, pull=1.0, max_grad_norm=1e9):
        fitting = FittingConfig(epochs=len(scores), batch_size=2, max_grad_norm=max_grad_norm, warmup_share=0.0)
        self.config = RewardModelConfig(fitting=fitting, device="cpu")
        self.model = nn.Linear(1, 1, bias=False)
        nn.init.zeros_(self.model.weight)
        self.scores = list(scores)
        self.pull = pull
        self.seen, self.after = [], []

    def optimizer(self):
        return torch.optim.SGD(self.model.parameters(), lr=1.0)

    def batches(self, train, shuffle):
        order = torch.randperm(len(train), generator=shuffle).tolist()
        return [[train[place] for place in order[:2]], [train[place] for place in order[2:]]]

    def loss(self, group):
        assert self.model.training
        self.seen += group
        total = -self.pull * sum(group) * self.model.weight.sum()
        return total, {"weight": self.model.weight}

    def judge(self, examples):
        assert examples == [9.0]
        self.after.append(self.model.weight.item())
        self.model.eval()
        return self.scores.pop(0), {"weight": self.model.weight.item()}


def run(training, folder=None):
    run_epochs(training, [1.0, 2.0, 3.0], [9.0], folder=folder, progress=None)
    return training


@pytest.mark.parametrize(("scores", "best"), [([0.1, 0.9, 0.5], 1), ([0.9, 0.1, 0.5], 0), ([0.5, 0.9, 0.9], 2)])
def test_the_weights_of_the_best_epoch_stay_the_later_one_of_equals(scores, best):
    done = run(Slope(scores))
    assert len(set(done.after)) == len(scores)
    assert done.model.weight.item() == done.after[best]
    assert not done.model.training


def test_every_epoch_sees_every_example_in_an_order_of_its_own():
    done = run(Slope([0.0] * 8))
    epochs = [tuple(done.seen[start : start + 3]) for start in range(0, 24, 3)]
    assert {tuple(sorted(epoch)) for epoch in epochs} == {(1.0, 2.0, 3.0)}
    assert len(set(epochs)) > 1
    assert done.seen == run(Slope([0.0] * 8)).seen


def test_the_rate_falls_in_a_line_and_gradients_are_clipped():
    # Four steps of rates 1, 3/4, 1/2, 1/4; a clipped gradient has norm 0.1 whatever the examples are.
    assert run(Slope([0.0, 1.0], pull=50.0, max_grad_norm=0.1)).model.weight.item() == pytest.approx(0.25, rel=1e-4)


def test_steps_and_judgements_are_logged_with_values_as_they_are_after_the_step(tmp_path):
    done = run(Slope([0.2, 0.7]), RunFolder(tmp_path))
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 2, 2, 3, 4, 4]
    judged = [row for row in rows if "heldout/selection" in row]
    assert [row["heldout/selection"] for row in judged] == [0.2, 0.7]
    assert [row["heldout/weight"] for row in judged] == done.after
    assert [rows[1]["weight"], rows[4]["weight"]] == done.after
    assert rows[0]["reward/loss"] == 0.0 > rows[1]["reward/loss"]
