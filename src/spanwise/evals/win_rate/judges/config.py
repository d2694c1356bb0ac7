"""The settings of a judge, one YAML file: which, how it is asked, and where its replies are kept.

What it costs is counted with the prices given here; none are known to the program.
"""

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from spanwise.core import Config
from spanwise.evals.win_rate.judges.prompt import Method

Order = Literal["both", "seeded", "model-second"]
"""Both orders averaged; one order per instruction by AlpacaEval's seed rule; always the model's answer second."""


class JudgeConfig(Config):
    """`spanwise evaluate win-rate --judge`: who compares the answers."""

    kind: Literal["openai", "anthropic", "local", "reward", "oracle", "people"]
    """An OpenAI-compatible endpoint, Anthropic's API, a Hugging Face model, a reward model, the simulated world's
    oracle, or marks that people made on exported pairs."""
    model: str = ""
    """Name of the service's model; folder or Hub name of a local or reward model."""
    base_url: str | None = None
    """Address of the endpoint, such as http://127.0.0.1:8000/v1; null is the vendor's."""
    api_key_env: str | None = None
    """Environment variable with the key; null is the vendor's own variable, and no key for another base_url."""
    method: Method = "verdict"
    """`verdict`: words that end with a verdict; `label`: one letter, by its probabilities where they are given."""
    prompt: Path | None = None
    """Prompt file with $instruction, $first and $second; null is the one of the package."""
    order: Order = "both"
    """Which answer the judge sees first; `both` asks twice and averages, which cancels position bias."""
    seed: int = 0
    """Seed of the rule of order=seeded."""
    temperature: float = Field(default=0.0, ge=0)
    """Randomness of an OpenAI-compatible judge; Anthropic's API takes none."""
    max_tokens: int = Field(default=300, ge=1)
    """Longest reply in words mode; one letter needs 1."""
    concurrency: int = Field(default=8, ge=1, le=256)
    """Requests under way at a time."""
    requests_per_minute: float | None = Field(default=None, gt=0)
    """Rate limit; null leaves it to the service."""
    timeout: float = Field(default=60, gt=0)
    """Seconds until a request is given up."""
    retries: int = Field(default=4, ge=0)
    """How often a failed request is sent again, with growing pauses, before the pair is unscored."""
    price_per_million_prompt_tokens: float = Field(default=0.0, ge=0)
    """Price of a million tokens read."""
    price_per_million_completion_tokens: float = Field(default=0.0, ge=0)
    """Price of a million tokens written."""
    cache: Path | None = None
    """JSONL file of replies: what it holds is not asked again, and a run that was killed goes on from it."""
    head: str = ""
    """The reward model's head; empty where it has one only."""
    batch_size: int = Field(default=8, ge=1)
    """Pairs that a local model reads at a time."""
    device: str = "auto"
    """Where a local model runs: cpu, cuda, cuda:1, ...; auto takes a GPU where there is one."""
    pairs: Path | None = None
    """kind=people: feedback records with preferences, from an export of these pairs."""
    items: int = Field(default=100, ge=1)
    """kind=oracle: how many items of the simulated world hold the instructions."""
    split: str = "test"
    """kind=oracle: their split."""

    @model_validator(mode="after")
    def _consistent(self) -> "JudgeConfig":
        if self.kind in ("openai", "anthropic", "local", "reward") and not self.model:
            raise ValueError(f"kind={self.kind} needs model")
        if self.kind == "people" and self.pairs is None:
            raise ValueError("kind=people needs pairs, a file of feedback records; --export-pairs writes it unmarked")
        if self.kind == "anthropic" and self.method == "label":
            raise ValueError("kind=anthropic gives no probabilities; set method=verdict")
        if self.kind == "anthropic" and self.temperature:
            raise ValueError("kind=anthropic takes no temperature; leave it out")
        return self

    def cost(self, prompt_tokens: int, completion_tokens: int) -> float:
        """The price of one request."""
        read = prompt_tokens * self.price_per_million_prompt_tokens
        return (read + completion_tokens * self.price_per_million_completion_tokens) / 1e6
