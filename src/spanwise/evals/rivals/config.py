"""How a policy can be made to answer, and which free rivals of a baseline are measured. Knows nothing of torch."""

from pathlib import Path

from pydantic import Field, model_validator

from spanwise.core import Config
from spanwise.models import AnswerConfig
from spanwise.training import SFTConfig

GREEDY = "greedy"
"""How the decoding is called that takes the likeliest token at every step."""


class DecodingConfig(Config):
    """How a policy answers."""

    temperature: float = Field(default=0.0, ge=0)
    """Logits are divided by this before tokens are drawn; 0 takes the likeliest token at every step."""
    top_p: float = Field(default=1.0, gt=0, le=1)
    """Only the fewest likeliest tokens that together have this probability can be drawn; 1 means all."""
    best_of: int = Field(default=1, ge=1)
    """So many answers are drawn and the one that the reward likes best is given; 1 gives what is drawn."""

    @model_validator(mode="after")
    def _drawn(self) -> "DecodingConfig":
        if self.temperature == 0 and (self.top_p < 1 or self.best_of > 1):
            raise ValueError("top_p and best_of are about drawn answers; set a temperature above 0")
        return self

    @property
    def title(self) -> str:
        """`greedy`, `temperature 0.5`, `temperature 1, top-p 0.9`, `temperature 1, best of 4`."""
        if self.temperature == 0:
            return GREEDY
        parts = [f"temperature {self.temperature:g}"]
        parts += [f"top-p {self.top_p:g}"] if self.top_p < 1 else []
        parts += [f"best of {self.best_of}"] if self.best_of > 1 else []
        return ", ".join(parts)

    def asked(self, config: AnswerConfig) -> AnswerConfig:
        """`config` with this decoding; a greedy answer is one a prompt, and what `best_of` leaves is as many."""
        if self.temperature == 0:
            return config.model_copy(update={"decoding": "greedy", "samples_per_prompt": 1, "top_p": 1.0})
        sampling = config.sampling.model_copy(update={"temperature": self.temperature})
        return config.model_copy(update={"decoding": "sample", "sampling": sampling, "top_p": self.top_p})


class RivalSettings(Config):
    """Which free rivals of a policy are measured."""

    temperatures: tuple[float, ...] = (0.7, 0.5, 0.3)
    """Temperatures to choose from on validation prompts; none leaves this rival out. Greedy decoding and the
    temperature of training are measured in any case."""
    top_p: float = Field(default=0.9, gt=0, le=1)
    """Drawing from the fewest likeliest tokens that together have this probability; 1 leaves this rival out."""
    best_of: int = Field(default=4, ge=1)
    """Of every so many sampled answers the one that the reward likes best; 1 leaves this rival out."""
    liked_share: float = Field(default=0.5, ge=0, le=1)
    """Fine-tuning on this share of the demonstrations, those that the reward likes best; 0 leaves this rival out."""

    @model_validator(mode="after")
    def _drawn(self) -> "RivalSettings":
        if any(temperature <= 0 for temperature in self.temperatures):
            raise ValueError("temperatures: give values above 0; greedy decoding is measured in any case")
        return self


class FreeRivalsConfig(RivalSettings):
    """What the policy that training with rewards began from gives without any of it.

    The mean reward chooses the temperature, or ROUGE-Lsum where there are no reward models.
    """

    policy: str
    """Folder or Hub name of that policy, usually the fine-tuned one."""
    validation: Path
    """JSONL file of prompts, others than those of the table, on which the temperature is chosen."""
    demonstrations: Path | None = None
    """JSONL file of demonstrations for fine-tuning on those that are liked best; null leaves this rival out."""
    sft: SFTConfig = SFTConfig()
    """That fine-tuning."""
    start: str | None = None
    """What is fine-tuned: folder or Hub name; null is `policy`."""
    run_dir: Path | None = None
    """Its run folder; needed with demonstrations."""

    @model_validator(mode="after")
    def _consistent(self) -> "FreeRivalsConfig":
        if (self.demonstrations is None) != (self.run_dir is None):
            raise ValueError("demonstrations and run_dir go together; set both or neither")
        if self.demonstrations is not None and self.liked_share == 0:
            raise ValueError("liked_share: 0 keeps no demonstration; give more, or leave out demonstrations")
        return self
