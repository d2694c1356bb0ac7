"""Updates: micro-batches add up to the minibatch, schedules by hand, and what is held back is held back."""

import copy

import pytest
import torch
from doubles.rl_world import batch_of, gradients, small_trainer

from spanwise.core.seeding import torch_generator
from spanwise.rl.updates import minibatches
from spanwise.training import OptimizerConfig
from spanwise.training.optimizer import learning_rate


def test_the_policy_is_frozen_while_the_value_model_warms_up(tmp_path):
    trainer = small_trainer(tmp_path, steps=3, value_warmup_steps=1)
    policy = copy.deepcopy(trainer.parts.policy.model.state_dict())
    value = copy.deepcopy(trainer.value_model.state_dict())
    metrics = trainer.step(1)
    assert all(torch.equal(policy[n], p) for n, p in trainer.parts.policy.model.state_dict().items())
    assert not all(torch.equal(value[n], p) for n, p in trainer.value_model.state_dict().items())
    assert "policy/loss" not in metrics
    assert "policy/loss" in trainer.step(2)
    assert not all(torch.equal(policy[n], p) for n, p in trainer.parts.policy.model.state_dict().items())


def test_updates_stop_when_the_policy_has_moved_too_far(tmp_path):
    free = small_trainer(tmp_path / "free", update={"epochs": 4}).step(1)
    assert free["update/count"] == 4
    assert free["update/stopped"] == 0
    held = small_trainer(tmp_path / "held", update={"epochs": 4, "target_kl": 1e-6}).step(1)
    assert held["update/count"] == 1  # the first shows no KL yet, the second shows too much and is not made
    assert held["update/stopped"] == 1


def norm_of(gradients):
    return float(torch.cat([gradient.flatten() for gradient in gradients]).norm())


def test_gradients_are_clipped_on_the_mean_gradient_and_logged_before_it(tmp_path):
    trainer = small_trainer(tmp_path, policy_optimizer={"max_grad_norm": 1e-3}, update={"epochs": 1})
    found, _ = gradients(trainer, batch_of(trainer))
    clipped = []
    parameters = list(trainer.parts.policy.model.parameters())
    trainer.updater._policy_optimizer._adamw.register_step_pre_hook(
        lambda *_: clipped.append(norm_of(p.grad for p in parameters))
    )
    expected = norm_of(g for name, g in found.items() if name.startswith("policy."))
    assert expected > 1e-2
    assert trainer.step(1)["policy/grad_norm"] == pytest.approx(expected, rel=1e-3)
    assert clipped == pytest.approx([1e-3], rel=1e-3)


@pytest.mark.parametrize(
    ("warmup", "decay", "expected"),
    [
        (0.0, "constant", [1, 1, 1, 1, 1]),
        (0.0, "linear", [1, 0.8, 0.6, 0.4, 0.2]),
        (0.4, "linear", [1 / 3, 2 / 3, 1, 2 / 3, 1 / 3]),
        (0.4, "constant", [1 / 3, 2 / 3, 1, 1, 1]),
    ],
)
def test_learning_rates_by_hand(warmup, decay, expected):
    config = OptimizerConfig(learning_rate=2.0, warmup_ratio=warmup, decay=decay)
    assert [learning_rate(config, step=s, steps=5) for s in range(5)] == pytest.approx([2 * e for e in expected])


@pytest.mark.parametrize("size", [1, 3, 4, 5, 12, None])
def test_minibatches_have_every_row_once_an_epoch_and_keep_responses_to_a_prompt_together(size):
    groups = torch.tensor([2, 0, 1, 2, 0, 1, 2, 0, 1, 1, 2, 0])
    epochs = list(minibatches(groups, size, 40, torch_generator(0, "minibatches")))
    per_epoch = -(-12 // (size or 12))
    assert len(epochs) == 40 * per_epoch
    orders = set()
    for start in range(0, len(epochs), per_epoch):
        rows = torch.cat(epochs[start : start + per_epoch]).tolist()
        assert sorted(rows) == list(range(12))
        assert [len({groups[row].item() for row in rows[i : i + 4]}) for i in (0, 4, 8)] == [1, 1, 1]
        orders.add(tuple(rows))
    assert len(orders) == 40
    assert {groups[order[0]].item() for order in orders} == {0, 1, 2}
    assert len({order[0] for order in orders}) > 6
