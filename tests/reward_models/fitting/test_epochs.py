"""The loop of epochs keeps the best one, clips gradients, and logs every step and every judgement."""

import json

import pytest
import torch
from torch import nn

from spanwise.core.errors import SpanwiseError
from spanwise.core.runs import RunFolder
from spanwise.reward_models.config import FittingConfig, RewardModelConfig
from spanwise.reward_models.fitting.gradient import GradientFit
from spanwise.reward_models.network import SpanRewardModel
from spanwise.training.optimizer import Optimizer


class Slope(GradientFit):
    """A line through zero, pushed up by `pull` times its examples; its epochs are judged by a script."""

    title = "slope"

    def __init__(self, scores, *, pull=1.0, max_grad_norm=1e9):
        fitting = FittingConfig(
            epochs=len(scores),
            batch_size=2,
            learning_rate=1.0,
            max_grad_norm=max_grad_norm,
            warmup_ratio=0.0,
            weight_decay=0.0,
        )
        model = nn.Linear(1, 1, bias=False)
        nn.init.zeros_(model.weight)
        stand_in = SpanRewardModel.__new__(SpanRewardModel)
        super().__init__(RewardModelConfig(fitting=fitting, device="cpu"), stand_in, 0, [1.0, 2.0, 3.0], [9.0])
        self.model = model
        self.scores = list(scores)
        self.pull = pull
        self.seen, self.after = [], []

    def optimizer(self):
        return Optimizer(dict(self.model.named_parameters()), self.config)

    def epoch(self):
        order = torch.randperm(len(self.train), generator=self.shuffle).tolist()
        return [[self.train[place] for place in order[:2]], [self.train[place] for place in order[2:]]]

    def batch_loss(self, batch):
        assert self.model.training
        self.seen += batch
        total = -self.pull * sum(batch) * self.model.weight.sum()
        return total, {"weight": self.model.weight}

    def measure(self):
        assert self.judge == [9.0]
        self.after.append(self.model.weight.item())
        self.model.eval()
        return self.scores.pop(0), {"weight": self.model.weight.item()}


@pytest.fixture(autouse=True)
def plain_descent(monkeypatch):
    """Steps whose size shows the rate and the gradient."""
    monkeypatch.setattr(torch.optim, "AdamW", lambda groups, fused: torch.optim.SGD(groups, lr=1.0))


def run(training, folder=None):
    training.run(folder)
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
    assert [row["step"] for row in rows] == [1, 2, 3, 4]
    judged = [row for row in rows if "heldout/selection" in row]
    assert [row["step"] for row in judged] == [2, 4]
    assert [row["heldout/selection"] for row in judged] == [0.2, 0.7]
    assert [row["heldout/weight"] for row in judged] == done.after
    assert [row["reward/weight"] for row in judged] == done.after
    assert rows[0]["reward/loss"] == 0.0 > rows[1]["reward/loss"]


def test_a_gradient_that_is_not_finite_stops_the_run():
    with pytest.raises(SpanwiseError, match=r"Step 1: the gradient is not finite; lower fitting\.learning_rate"):
        run(Slope([0.0], pull=float("inf")))
