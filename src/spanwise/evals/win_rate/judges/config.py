"""The settings of a judge, one YAML file: which, how it is asked, and where its replies are kept."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import ConfigDict, Field, field_validator, model_validator

from spanwise.core import Config, ImportPath
from spanwise.llm import EndpointConfig

Method = Literal["verdict", "label"]
"""How a language model answers: in words that end with a verdict, or with one letter whose probabilities are read."""
Order = Literal["both", "seeded", "model-second"]
"""Both orders averaged; one order per instruction by AlpacaEval's seed rule; always the model's answer second."""
_MOVED = ("base_url", "api_key_env", "temperature", "concurrency", "requests_per_minute", "retries")


class JudgeConfig(Config):
    """`spanwise evaluate win-rate --judge`: who compares the answers."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)

    RENAMED: ClassVar[Mapping[str, str]] = {
        **{key: f"endpoint.{key}" for key in _MOVED},
        "max_tokens": "endpoint.max_new_tokens",
        "timeout": "endpoint.timeout_s",
        "price_per_million_prompt_tokens": "endpoint.input_price",
        "price_per_million_completion_tokens": "endpoint.output_price",
        "batch_size": "a local model reads one pair at a time now; leave it out",
        "prompt": "prompt_file",
    }

    kind: Literal["chat", "reward", "oracle", "people", "class"]
    """A language model, a reward model, the simulated world's oracle, marks that people made on exported pairs, or a
    judge of one's own."""
    class_: ImportPath | None = Field(default=None, alias="class")
    """kind=class: import path my.module:Name of the judge."""
    options: dict[str, Any] = Field(default_factory=dict)
    """kind=class: what it is made with."""
    endpoint: EndpointConfig = EndpointConfig(
        provider="openai", model="", temperature=0.0, max_new_tokens=300, concurrency=8
    )
    """kind=chat: the language model."""
    method: Method | None = None
    """kind=chat: `verdict`, words that end with a verdict, or `label`, one letter by its probabilities where they are
    given; null is label for a local model and verdict for others."""
    prompt_file: Path | None = None
    """kind=chat: prompt file with $instruction, $first and $second; null is the one of the package."""
    cache: Path | None = None
    """kind=chat: JSONL file of replies; what it holds is not asked again, and a run that was killed goes on from it."""
    order: Order = "both"
    """Which answer the judge sees first; `both` asks twice and averages, which cancels position bias."""
    seed: int = 0
    """Seed of the rule of order=seeded."""
    model: str = ""
    """kind=reward: folder or Hub name of the reward model."""
    head: str = ""
    """kind=reward: the model's head; empty where it has one only."""
    device: str = "auto"
    """kind=reward: where the model runs: cpu, cuda, cuda:1, ...; auto takes a GPU where there is one."""
    pairs: Path | None = None
    """kind=people: feedback records with preferences, from an export of these pairs."""
    items: int = Field(default=100, ge=1)
    """kind=oracle: how many items of the simulated world hold the instructions."""
    split: str = "test"
    """kind=oracle: their split."""

    @property
    def asked_method(self) -> Method:
        """`method`, decided."""
        return self.method or ("label" if self.endpoint.provider == "local" else "verdict")

    @field_validator("kind", mode="before")
    @classmethod
    def _no_provider(cls, kind: object) -> object:
        if kind in ("openai", "anthropic", "local"):
            raise ValueError(f"was renamed to kind=chat with endpoint.provider={kind} and endpoint.model")
        return kind

    @model_validator(mode="after")
    def _consistent(self) -> "JudgeConfig":
        is_chat, is_anthropic = self.kind == "chat", self.endpoint.provider == "anthropic"
        if (self.kind == "class") != (self.class_ is not None):
            raise ValueError("kind=class and class, an import path, go together; set both or neither")
        if is_chat and not self.endpoint.model:
            raise ValueError("kind=chat needs endpoint.model")
        if self.kind == "reward" and not self.model:
            raise ValueError("kind=reward needs model")
        if self.kind == "people" and self.pairs is None:
            raise ValueError("kind=people needs pairs, a file of feedback records; --export-pairs writes it unmarked")
        if not is_chat and self.cache is not None:
            raise ValueError(f"kind={self.kind} asks no language model and keeps no replies; leave cache out")
        if is_chat and is_anthropic and self.asked_method == "label":
            raise ValueError("endpoint.provider=anthropic gives no probabilities; set method=verdict")
        if is_chat and is_anthropic and self.endpoint.temperature:
            raise ValueError("endpoint.provider=anthropic takes no temperature as a judge; leave it out")
        return self
