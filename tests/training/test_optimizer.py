"""Weights in half precision learn in float32: small updates add up, and so do small gradients."""

import pytest
import torch
from torch import nn

from spanwise.training import OptimizerConfig
from spanwise.training.optimizer import Optimizer

CONSTANT = OptimizerConfig(learning_rate=1e-4, decay="constant", max_grad_norm=1e9)


def test_updates_below_the_resolution_of_bfloat16_add_up():
    # Under a constant gradient AdamW moves by the learning rate each time; bfloat16 near 1 has steps of 2^-8.
    weight = nn.Parameter(torch.ones(3, dtype=torch.bfloat16))
    optimizer = Optimizer({"w": weight}, CONSTANT)
    for _ in range(100):
        weight.sum().backward()
        optimizer.update()
    assert weight.tolist() == [float(torch.tensor(0.99).bfloat16())] * 3
    assert optimizer.tensors()["weight/w"].tolist() == pytest.approx([0.99] * 3, abs=1e-5)


def test_gradients_of_micro_batches_add_up_in_float32():
    weight = nn.Parameter(torch.ones(1, dtype=torch.bfloat16))
    optimizer = Optimizer({"w": weight}, CONSTANT)
    for scale in [1.0] + [2.0**-9] * 256:
        (weight * scale).sum().backward()
    assert weight.grad is None
    assert [gradient.tolist() for gradient in optimizer.gradients()] == [[1.5]]
    assert optimizer.update() == pytest.approx(1.5)


def test_a_state_brings_weights_in_half_precision_back():
    weight = nn.Parameter(torch.ones(2, dtype=torch.bfloat16))
    optimizer = Optimizer({"w": weight}, CONSTANT)
    for _ in range(50):
        weight.sum().backward()
        optimizer.update()
    kept = {name: tensor.detach().clone() for name, tensor in optimizer.tensors().items()}
    fresh = nn.Parameter(torch.zeros(2, dtype=torch.bfloat16))
    again = Optimizer({"w": fresh}, CONSTANT)
    again.restore(kept)
    assert torch.equal(fresh, weight)
    for one in (weight, fresh):
        one.sum().backward()
    optimizer.update()
    again.update()
    assert torch.equal(again.tensors()["weight/w"], optimizer.tensors()["weight/w"])


def test_weights_in_float32_are_learned_in_place():
    weight = nn.Parameter(torch.ones(2))
    optimizer = Optimizer({"w": weight}, CONSTANT)
    assert optimizer.tensors()["weight/w"] is weight
