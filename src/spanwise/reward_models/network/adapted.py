"""Reward models that leave a base model's weights as they are: an adapter on them and heads are all that was learned.

On disk they are a PEFT adapter, which names its base, with our config and heads beside it. Such a model can be put on
base weights that are in memory already, which a policy then shares with it. Knows nothing of training or serving.
"""

from pathlib import Path
from typing import Any, cast

import peft
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, PreTrainedModel

from spanwise.core import CheckpointError, ConfigError, LoraConfig
from spanwise.models import Adapters, adapter_parameters, base_fingerprint, load_body
from spanwise.reward_models.network.model import SpanRewardConfig, SpanRewardModel

ADAPTER_FILE, HEADS_FILE = "adapter_model.safetensors", "heads.safetensors"
_PEFT_PREFIX = "base_model.model."


class AdaptedRewardConfig(SpanRewardConfig):
    """The config of a reward model, with what tells its base model from others."""

    model_type = "span_reward_adapter"

    def __init__(self, *, base_fingerprint: str = "", **kwargs: Any) -> None:
        self.base_fingerprint = base_fingerprint
        super().__init__(**kwargs)


class AdaptedRewardModel(SpanRewardModel):
    """Heads and an adapter on a backbone that others may use as well; one that was just made has no adapter yet."""

    config_class = AdaptedRewardConfig
    config: AdaptedRewardConfig  # pyright: ignore[reportIncompatibleVariableOverride] - never replaced by another kind

    def __init__(self, config: AdaptedRewardConfig, backbone: PreTrainedModel | None = None) -> None:
        super().__init__(config, backbone)
        self.base = ""
        """Where the base model lies, for the checkpoint to name."""
        self.lora = LoraConfig()
        """The sizes of the adapter."""
        self.shares = False
        """Whether the backbone is another model's, too."""

    @classmethod
    def on(
        cls, model: SpanRewardModel, base: str | None, lora: LoraConfig, generator: torch.Generator
    ) -> "AdaptedRewardModel":
        """The fresh `model` with an adapter to be trained instead of its backbone, whose weights are those at `base`.

        Raises ConfigError where nobody says where these lie.
        """
        if not base:
            raise ConfigError(
                "lora: the checkpoint names its base model; set backbone to the folder or Hub name of it."
            )
        settings = {key: value for key, value in model.config.to_dict().items() if key != "model_type"}
        config = AdaptedRewardConfig(base_fingerprint=base_fingerprint(model.backbone), **settings)
        adapted = _around(config, model.backbone)
        adapted.heads, adapted.feature_heads = model.heads, model.feature_heads
        adapted.base = str(Path(base).resolve()) if Path(base).is_dir() else base
        adapted.adapt(Adapters(model.backbone), "reward", lora, generator)
        return adapted

    @classmethod
    def from_pretrained(  # pyright: ignore[reportIncompatibleMethodOverride] - of its many options, those that matter
        cls, path: str | Path, *, dtype: torch.dtype = torch.float32, **_options: Any
    ) -> "AdaptedRewardModel":
        """The model on base weights of its own; CheckpointError where these are gone or are not what they were."""
        base = str(peft.LoraConfig.from_pretrained(str(path)).base_model_name_or_path)
        try:
            body = load_body(base, dtype=dtype)
        except (OSError, ValueError) as error:
            reason = str(error).strip().splitlines()[0].rstrip(".")
            raise CheckpointError(
                f"{path}: its base model {base!r} cannot be loaded ({reason}); restore it, or write its new place into "
                "base_model_name_or_path of adapter_config.json."
            ) from error
        if base_fingerprint(body) != _config_at(path).base_fingerprint:
            raise CheckpointError(
                f"{path}: {base!r} holds other weights than those that the adapter was trained on; restore them, or "
                "train the reward model again."
            )
        return _loaded(path, body, Adapters(body), "reward")

    @classmethod
    def sharing(cls, path: str | Path, adapters: Adapters, name: str) -> "AdaptedRewardModel":
        """The model on the weights that `adapters` are on, as adapter `name`."""
        model = _loaded(path, cast("PreTrainedModel", adapters.model.base_model), adapters, name)
        model.shares = True
        return model

    def adapt(
        self, adapters: Adapters, name: str, lora: LoraConfig, generator: torch.Generator, *, trained: bool = True
    ) -> None:
        """Adds adapter `name` to `adapters` and lets the backbone be read with it on."""
        adapters.add([name], lora, generator, trained=trained)
        self.role, self.lora = adapters.role(name), lora

    def own_tensors(self) -> dict[str, Tensor]:
        """The adapter and the heads: the base model's weights are another's."""
        return self._adapter() | self._heads()

    def save_pretrained(  # pyright: ignore[reportIncompatibleMethodOverride] - of its many options, those that matter
        self, save_directory: str | Path, **_options: Any
    ) -> None:
        """Writes config.json, the adapter as PEFT does, and the heads."""
        folder, tensors = Path(save_directory), self._adapter()
        folder.mkdir(parents=True, exist_ok=True)
        self.config.architectures = [type(self).__name__]
        self.config.save_pretrained(folder)
        peft.LoraConfig(
            r=self.lora.rank,
            lora_alpha=cast("int", self.lora.alpha),
            target_modules=sorted({key.removeprefix(_PEFT_PREFIX).split(".lora_")[0] for key in tensors}),
            task_type="FEATURE_EXTRACTION",
            base_model_name_or_path=self.base,
            inference_mode=True,
        ).save_pretrained(str(folder))
        for name, content in ((ADAPTER_FILE, tensors), (HEADS_FILE, self._heads())):
            plain = {key: tensor.detach().contiguous() for key, tensor in content.items()}
            save_file(plain, folder / name, metadata={"format": "pt"})

    def _adapter(self) -> dict[str, Tensor]:
        """By the names that PEFT gives them on disk."""
        name = "" if self.role is None or self.role.name is None else self.role.name
        parameters = adapter_parameters(self.backbone, name)
        return {_PEFT_PREFIX + key.replace(f".{name}.weight", ".weight"): tensor for key, tensor in parameters.items()}

    def _heads(self) -> dict[str, Tensor]:
        units = {"heads": self.heads, "feature_heads": self.feature_heads}
        states = {name: unit.state_dict() for name, unit in units.items() if unit is not None}
        return {f"{name}.{key}": tensor for name, state in states.items() for key, tensor in state.items()}


def _config_at(path: str | Path) -> AdaptedRewardConfig:
    return cast("AdaptedRewardConfig", AutoConfig.from_pretrained(path))


def _around(config: AdaptedRewardConfig, body: PreTrainedModel) -> AdaptedRewardModel:
    with torch.random.fork_rng():  # layers draw their first weights from the global generator
        model = AdaptedRewardModel(config, body)
    for unit in (model.heads, model.feature_heads):
        if unit is not None:
            nn.Module.to(unit, body.device)
    return model


def _loaded(path: str | Path, body: PreTrainedModel, adapters: Adapters, name: str) -> AdaptedRewardModel:
    """The model at `path` around `body`, its weights in the precision of the body's."""
    model = _around(_config_at(path), body)
    settings = cast("peft.LoraConfig", peft.LoraConfig.from_pretrained(str(path)))
    lora = LoraConfig(rank=settings.r, alpha=settings.lora_alpha)
    model.base = str(settings.base_model_name_or_path)
    model.adapt(adapters, name, lora, torch.Generator(body.device), trained=False)
    stored = load_file(Path(path) / ADAPTER_FILE) | load_file(Path(path) / HEADS_FILE)
    mine = model.own_tensors()
    if stored.keys() != mine.keys():
        odd = sorted(stored.keys() ^ mine.keys())
        raise CheckpointError(f"{path}: adapter and base model do not fit each other ({odd[0]}); train it again.")
    with torch.no_grad():
        for key, tensor in mine.items():
            tensor.copy_(stored[key])
    return model.eval()


AutoConfig.register(AdaptedRewardConfig.model_type, AdaptedRewardConfig)
AutoModel.register(AdaptedRewardConfig, AdaptedRewardModel)
