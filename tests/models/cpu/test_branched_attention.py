"""Attention of responses that branch off their prompts, beside one softmax over a mask that says who sees whom."""

import pytest
import torch
from torch.nn import functional

from spanwise.core.seeding import torch_generator
from spanwise.models.cpu import Branches

PROMPTS, RESPONSES = [5, 3, 4], [[3, 0, 2], [1], [0, 4]]


def mask_of(prompts, responses):
    """Who sees whom, token by token: (prompt, response or None, place)."""
    tokens = [(i, None, place) for i, length in enumerate(prompts) for place in range(length)]
    for i, lengths in enumerate(responses):
        tokens += [(i, r, place) for r, length in enumerate(lengths) for place in range(length)]

    def sees(one, other):
        if one[0] != other[0]:
            return False
        if other[1] is None and one[1] is not None:
            return True
        return one[1] == other[1] and other[2] <= one[2]

    return torch.tensor([[sees(one, other) for other in tokens] for one in tokens])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("heads", [(4, 4), (4, 2), (4, 1)])
@pytest.mark.parametrize("responses", [RESPONSES, [[], [2, 2], [1]], [[0], [], [0, 0]]])
def test_states_and_gradients_are_those_of_a_mask(responses, heads, dtype):
    branches = Branches(PROMPTS, responses)
    count = branches.trunk + sum(map(sum, responses))
    generator = torch_generator(0, "attention")
    inputs = [torch.randn(1, count, h, 8, generator=generator).to(dtype) for h in (heads[0], heads[1], heads[1])]
    weights = torch.randn(1, count, heads[0], 8, generator=generator)
    found = {}
    for name in ("branches", "mask"):
        q, k, v = (x.clone().requires_grad_() for x in inputs)
        if name == "branches":
            states = branches.attend(0, q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), 0.3)
        else:
            wide = (x.float().transpose(1, 2) for x in (q, k, v))
            states = functional.scaled_dot_product_attention(
                *wide, attn_mask=mask_of(PROMPTS, responses), enable_gqa=True, scale=0.3
            ).transpose(1, 2)
        found[name] = (states.float(), *torch.autograd.grad((states * weights).sum(), (q, k, v)))
    tolerance = {"rtol": 1e-4, "atol": 1e-5} if dtype == torch.float32 else {"rtol": 0.05, "atol": 0.08}
    for one, other in zip(found["branches"], found["mask"], strict=True):
        torch.testing.assert_close(one, other, **tolerance)


def test_positions_begin_anew_after_each_prompt():
    assert Branches([2, 3], [[2, 1], [0, 2]]).positions.tolist() == [[0, 1, 0, 1, 2, 2, 3, 2, 3, 4]]
