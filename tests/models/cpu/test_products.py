"""Float32 products by the quicker library are those of PyTorch, in values, gradients and what is saved of a model."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from spanwise.models.cpu import products as cpu_products
from spanwise.models.cpu.products import linear, product, product_into, use_products_on_cpu

pytestmark = pytest.mark.skipif(
    not torch.backends.mkldnn.is_available() or not hasattr(torch.ops.mkldnn, "_linear_pointwise"),
    reason="this PyTorch has no oneDNN",
)


@contextmanager
def _taken(*, least: int = 0) -> Iterator[list[tuple[int, ...]]]:
    """Makes every product worth it, on whatever processor; gives the shapes of those that were made that way."""
    made: list[tuple[int, ...]] = []
    original = cpu_products._product

    def watched(left: Tensor, right: Tensor, bias: Tensor | None = None) -> Tensor:
        made.append((*left.shape, len(right)))
        return original(left, right, bias)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cpu_products, "is_quicker_elsewhere", lambda: True)
        patch.setattr(cpu_products, "LEAST", least)
        patch.setattr(cpu_products, "_product", watched)
        yield made


def _with_gradients(function, *inputs: Tensor) -> list[Tensor]:
    leaves = [tensor.detach().clone().requires_grad_() for tensor in inputs]
    output = function(*leaves)
    weights = torch.arange(output.numel(), dtype=output.dtype).view(output.shape).cos()
    return [output.detach(), *torch.autograd.grad((output * weights).sum(), leaves)]


@settings(deadline=None, max_examples=60)
@given(
    lead=st.lists(st.integers(1, 5), min_size=1, max_size=3),
    sizes=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    biased=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_linear_and_its_gradients_are_those_in_double_precision(
    lead: list[int], sizes: tuple[int, int], biased: bool, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    shapes = [(*lead, sizes[0]), (sizes[1], sizes[0]), *([(sizes[1],)] if biased else [])]
    inputs = [torch.randn(shape, generator=generator) for shape in shapes]
    with _taken() as made:
        found = _with_gradients(lambda *x: linear(*x, *([] if biased else [None])), *inputs)
    exact = _with_gradients(functional.linear, *(tensor.double() for tensor in inputs))
    assert len(made) == 3
    for ours, theirs in zip(found, exact, strict=True):
        torch.testing.assert_close(ours.double(), theirs, rtol=1e-5, atol=2e-5)


def test_only_what_needs_a_gradient_is_multiplied_for_it() -> None:
    inputs, weight = torch.randn(3, 4), torch.randn(5, 4, requires_grad=True)
    with _taken() as made:
        linear(inputs, weight, None).sum().backward()
    assert made == [(3, 4, 5), (5, 3, 4)]


@pytest.mark.parametrize("transposed", [False, True])
def test_products_outside_of_graphs(transposed: bool) -> None:
    left = torch.randn(9, 7) if not transposed else torch.randn(7, 9).T
    right, out = torch.randn(7, 11), torch.full((9, 11), 7.0)
    with _taken() as made:
        found = product(left, right)
        product_into(out, left, right)
    assert len(made) == 2
    exact = left.double() @ right.double()
    torch.testing.assert_close(found.double(), exact, rtol=1e-5, atol=1e-5)
    assert torch.equal(found, out)


@pytest.mark.parametrize("case", ["small", "bfloat16", "float64", "autocast"])
def test_the_rest_is_left_to_pytorch(case: str) -> None:
    dtype = {"bfloat16": torch.bfloat16, "float64": torch.float64}.get(case, torch.float32)
    inputs, weight = torch.randn(3, 4, dtype=dtype), torch.randn(5, 4, dtype=dtype)
    with _taken(least=61 if case == "small" else 0) as made, torch.autocast("cpu", enabled=case == "autocast"):
        found = linear(inputs, weight, None)
        assert torch.equal(found, functional.linear(inputs, weight))
    assert made == []


def test_the_boundary_is_the_number_of_multiplications() -> None:
    with _taken(least=60) as made:
        linear(torch.randn(3, 4), torch.randn(5, 4), None)
    assert made == [(3, 4, 5)]


def test_elsewhere_models_stay_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu_products, "is_quicker_elsewhere", lambda: False)
    model = nn.Sequential(nn.Linear(4, 4))
    use_products_on_cpu(model)
    assert type(model[0]) is nn.Linear


def test_a_model_multiplies_otherwise_and_is_otherwise_the_same() -> None:
    class Own(nn.Linear):
        """A layer of somebody else's, which may compute something else."""

    plain = nn.Sequential(nn.Linear(6, 8), nn.GELU(), nn.Linear(8, 3, bias=False), Own(3, 3))
    model = copy.deepcopy(plain)
    inputs = torch.randn(5, 6)
    with _taken() as made:
        use_products_on_cpu(model)
        found, copied = model(inputs), copy.deepcopy(model)(inputs)
    assert len(made) == 4
    assert type(model[3]) is Own
    assert isinstance(model[0], nn.Linear)
    assert list(model.state_dict()) == list(plain.state_dict())
    assert torch.equal(found, copied)
    torch.testing.assert_close(found, plain(inputs), rtol=1e-5, atol=1e-6)


def test_compiled_code_multiplies_as_pytorch_does() -> None:
    model = nn.Sequential(nn.Linear(6, 8), nn.GELU(), nn.Linear(8, 3))
    inputs = torch.randn(5, 6)
    expected = model(inputs)
    with _taken() as made:
        use_products_on_cpu(model)
        found = torch.compile(model, backend="aot_eager", fullgraph=True)(inputs)
    assert made == []
    torch.testing.assert_close(found, expected)
