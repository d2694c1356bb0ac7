import pytest
import torch
from doubles import models as doubles

from spanwise.core.seeding import torch_generator
from spanwise.models import Policy, ValueModel
from spanwise.models.batches import pad

TEXTS = ["question: who? answer:", "Ada Veld was born in Oslo"]
FAMILIES = {"llama": doubles.tiny_llama, "gpt2": doubles.tiny_gpt2, "t5": doubles.tiny_t5}


@pytest.fixture(params=FAMILIES, name="policy")
def policy_of_each_family(request):
    return Policy(*FAMILIES[request.param]())


def with_loud_head(policy):
    value_model = ValueModel.from_policy(policy, torch_generator(0, "value"))
    with torch.no_grad():
        value_model.head.weight.mul_(1000)
    return value_model


def test_first_values_are_near_zero_and_follow_the_generator(policy):
    prompts = policy.encode_prompts(TEXTS)
    ids, mask = pad([[5, 6, 7], [8]], value=policy.pad_id, side="right")
    first, again, other = (
        ValueModel.from_policy(policy, torch_generator(seed, "value")).values(prompts, ids, mask) for seed in (0, 0, 1)
    )
    assert 0 < first[mask].abs().max() < 0.2
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert (first[~mask] == 0).all()


def test_a_value_depends_on_what_came_before_its_token_and_not_on_the_token(policy):
    value_model = with_loud_head(policy)
    prompts = policy.encode_prompts(TEXTS[:1])
    mask = torch.ones(1, 4, dtype=torch.bool)
    before = value_model.values(prompts, torch.tensor([[5, 6, 7, 8]]), mask)
    after = value_model.values(prompts, torch.tensor([[5, 6, 9, 8]]), mask)
    torch.testing.assert_close(after[:, :3], before[:, :3])
    assert (after[:, 3] - before[:, 3]).abs().item() > 1e-3


def test_values_read_the_state_that_predicts_the_token(policy):
    value_model = with_loud_head(policy)
    prompts = policy.encode_prompts(TEXTS)
    ids, mask = pad([[5, 6, 7], [8]], value=policy.pad_id, side="right")
    states = policy.hidden(prompts, ids, mask)
    expected = (states @ value_model.head.weight[0] + value_model.head.bias).masked_fill(~mask, 0.0)
    torch.testing.assert_close(value_model.values(prompts, ids, mask), expected)


def test_training_the_value_model_leaves_the_policy_alone(policy):
    before = {name: parameter.clone() for name, parameter in policy.model.named_parameters()}
    value_model = ValueModel.from_policy(policy, torch_generator(0, "value"))
    own = [parameter.clone() for parameter in value_model.backbone.parameters()]
    ids, mask = pad([[5, 6, 7], [8]], value=policy.pad_id, side="right")
    value_model.values(policy.encode_prompts(TEXTS), ids, mask).sum().backward()
    torch.optim.SGD(value_model.parameters(), lr=1.0).step()
    assert any(not torch.equal(a, b) for a, b in zip(own, value_model.backbone.parameters(), strict=True))
    assert all(torch.equal(before[name], parameter) for name, parameter in policy.model.named_parameters())
