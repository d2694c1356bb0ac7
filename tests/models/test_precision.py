"""Names of precisions, and what `auto` makes of a processor."""

import pytest
import torch

from spanwise.models import checkpoints as module
from spanwise.models.checkpoints import precision


@pytest.mark.parametrize(
    ("name", "made_for_it", "expected"),
    [
        ("float32", True, torch.float32),
        ("bfloat16", False, torch.bfloat16),
        ("auto", True, torch.bfloat16),
        ("auto", False, torch.float32),
    ],
)
def test_auto_follows_the_processor_and_the_others_do_not(monkeypatch, name, made_for_it, expected):
    monkeypatch.setattr(module, "is_made_for_bfloat16", lambda _device: made_for_it)
    assert precision(name, "cpu") is expected


def test_a_device_that_nothing_is_known_of_is_not_made_for_it():
    assert not module.is_made_for_bfloat16(torch.device("meta"))
