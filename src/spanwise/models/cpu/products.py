"""Products in float32 on processors on which one of PyTorch's two matrix libraries is half as quick as the other.

PyTorch gives float32 products to MKL, which on AMD's processors leaves instructions of 512 bits unused; oneDNN, which
PyTorch carries as well, uses them. Small products stay with PyTorch, whose call costs less, and so does everything on
other processors, in other types, under autocast and in compiled code. Knows nothing of policies or batches.
"""

import functools
from pathlib import Path
from typing import Any, no_type_check

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

LEAST = 4_000_000
"""Multiplications below which a product is not worth a second look."""


@functools.cache
def is_quicker_elsewhere() -> bool:
    """Whether oneDNN multiplies float32 matrices more quickly than MKL here.

    Measured on one core of an AMD EPYC with AVX-512, GFLOP/s of MKL and oneDNN at the shapes of a small transformer's
    layers: 89 to 99 and 191 to 228; of a vocabulary of 32,000, 70 to 96 and 103 to 194.
    """
    return (
        torch.backends.mkl.is_available()
        and torch.backends.mkldnn.is_available()
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
        and torch.backends.cpu.get_cpu_capability() == "AVX512"
        and _is_of_amd()
    )


def use_products_on_cpu(model: nn.Module) -> None:
    """Lets the linear layers of a model multiply as above; what is saved of them is the same."""
    for module in model.modules() if is_quicker_elsewhere() else ():
        if type(module) is nn.Linear:
            module.__class__ = _Linear


def product(left: Float[Tensor, "n k"], right: Float[Tensor, "k m"]) -> Float[Tensor, "n m"]:
    """Their matrix product, outside of any graph."""
    return _product(left, right.T) if _worth_it(left, right.shape[1]) else left @ right


def product_into(out: Float[Tensor, "n m"], left: Float[Tensor, "n k"], right: Float[Tensor, "k m"]) -> None:
    """Overwrites `out` with `product`."""
    if _worth_it(left, right.shape[1]):
        out.copy_(_product(left, right.T))
    else:
        torch.mm(left, right, out=out)


@no_type_check  # torch.compile calls it, and cannot read the tests' checks of shapes
def linear(inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """`torch.nn.functional.linear`, differentiable as that is."""
    if torch.compiler.is_compiling() or torch.is_autocast_enabled("cpu") or not _worth_it(inputs, len(weight)):
        return functional.linear(inputs, weight, bias)
    return _Product.apply(inputs, weight, bias)


class _Linear(nn.Linear):
    @no_type_check
    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's own name
        return linear(input, self.weight, self.bias)


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(inputs, weight)
        return _product(inputs, weight, bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        inputs, weight = ctx.saved_tensors
        rows, gradient = inputs.flatten(0, -2), gradients[0].flatten(0, -2)
        to_inputs, to_weight, to_bias = ctx.needs_input_grad
        return (
            _product(gradient, weight.T).view(inputs.shape) if to_inputs else None,
            _product(gradient.T, rows.T) if to_weight else None,
            gradient.sum(0) if to_bias else None,
        )


def _product(left: Tensor, right: Tensor, bias: Tensor | None = None) -> Tensor:
    """Left (.., k) times right (m, k) transposed."""
    return torch.ops.mkldnn._linear_pointwise(left, right, bias, "none", [], "")  # pyright: ignore[reportPrivateUsage] - the only way to it


def _worth_it(left: Tensor, columns: int) -> bool:
    return (
        left.dtype == torch.float32
        and left.device.type == "cpu"
        and left.numel() * columns >= LEAST
        and is_quicker_elsewhere()
    )


def _is_of_amd() -> bool:
    processors = Path("/proc/cpuinfo")
    return processors.exists() and "AuthenticAMD" in processors.read_text()
