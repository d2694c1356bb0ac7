"""A device is resolved in one place: auto takes what there is, and what is not there is one sentence."""

import pytest
import torch

from spanwise.core.devices import device_line, resolve_device
from spanwise.core.errors import ConfigError
from spanwise.evals.win_rate.judges.config import JudgeConfig
from spanwise.llm.config import EndpointConfig
from spanwise.models.config import GenerateConfig
from spanwise.reward_models.config import RewardModelConfig, TokenRewardConfig
from spanwise.rl.config import RLConfig
from spanwise.training.config import DPORunConfig, SFTRunConfig

CONFIGS = [
    DPORunConfig, EndpointConfig, GenerateConfig, JudgeConfig, RLConfig, RewardModelConfig, SFTRunConfig,
    TokenRewardConfig,
]  # fmt: skip


@pytest.fixture
def gpus(monkeypatch):
    """A machine with so many GPUs."""

    def machine(count):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Test GPU")

    return machine


@pytest.mark.parametrize("config", CONFIGS)
def test_every_config_takes_what_there_is(config):
    assert config.model_fields["device"].default == "auto"


@pytest.mark.parametrize(
    ("count", "asked", "resolved", "line"),
    [
        (0, "auto", "cpu", "device: cpu (no CUDA device found)"),
        (2, "auto", "cuda", "device: cuda (Test GPU)"),
        (2, "cuda:1", "cuda:1", "device: cuda:1"),
        (2, "cpu", "cpu", "device: cpu"),
    ],
)
def test_a_name_becomes_a_device_and_is_said(gpus, count, asked, resolved, line):
    gpus(count)
    assert resolve_device(asked) == resolved
    assert device_line(asked, resolved) == line


@pytest.mark.parametrize(
    ("count", "asked", "told"),
    [
        (0, "cuda", "this machine has no CUDA device;"),
        (1, "cuda:7", "this machine has 1 CUDA device;"),
        (2, "cuda:2", "this machine has 2 CUDA devices;"),
        (0, "gpu", "no such device"),
        (0, "", "no such device"),
        (0, "cuda:x", "no such device"),
        (0, "meta", "cannot be used on this machine"),
        (0, "xpu", "cannot be used on this machine"),
        (0, "mps", "cannot be used on this machine"),
    ],
)
def test_a_device_that_is_not_there_is_one_sentence(gpus, count, asked, told):
    if asked == "mps" and torch.backends.mps.is_available():
        pytest.skip("this machine has it")
    gpus(count)
    with pytest.raises(ConfigError, match=f"^device={asked}: .*{told}"):
        resolve_device(asked)
