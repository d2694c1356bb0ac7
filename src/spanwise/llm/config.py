"""Which language model is asked, where, how fast and at what price."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, cast

from pydantic import Field, model_validator

from spanwise.core import Config


class EndpointConfig(Config):
    """A language model that answers calls."""

    RENAMED: ClassVar[Mapping[str, str]] = {"max_tokens": "max_new_tokens"}

    provider: Literal["openai", "anthropic", "local", "policy"]
    """The protocol of OpenAI (vLLM, llama.cpp, Ollama and hosted services speak it), Anthropic's, a folder here, or the
    policy that `spanwise rl` trains, as it stands (for critics alone)."""
    model: str
    """The model's name at the endpoint; for local, the folder or Hub name of a model."""
    base_url: str | None = None
    """Address of the endpoint, such as http://127.0.0.1:8000/v1; the provider's own without it."""
    api_key_env: str | None = None
    """Environment variable with the key; null is the vendor's own variable, and no key for another base_url."""
    temperature: float | None = Field(default=None, ge=0)
    """Sampling temperature; without it the endpoint's own. 0 where it is taken makes answers almost repeatable."""
    max_new_tokens: int = Field(default=1024, ge=1)
    """Longest answer in tokens; an edit that runs into it is cut off and not used."""
    seed: int | None = None
    """Seed sent with each request, where the endpoint takes one."""
    structured: bool = True
    """Ask the endpoint to hold JSON answers to their schema; switch off for endpoints that cannot."""
    timeout_s: float = Field(default=60.0, gt=0)
    """Seconds after which a call is given up."""
    retries: int = Field(default=4, ge=0)
    """How often a call is tried again after time-outs, rate limits and server errors, with growing pauses."""
    concurrency: int = Field(default=4, ge=1)
    """Calls under way at a time."""
    requests_per_minute: float | None = Field(default=None, gt=0)
    """Most calls begun per minute; no limit without it."""
    input_price: float | None = Field(default=None, ge=0)
    """Price of a million input tokens, for the cost in the report."""
    output_price: float | None = Field(default=None, ge=0)
    """Price of a million output tokens."""
    budget: float | None = Field(default=None, gt=0)
    """Most that one run may spend, in the currency of the prices: nothing more is asked once new replies have cost so
    much, and replies of before cost nothing. Calls that are under way then still come in."""
    device: str = "auto"
    """Where a local model runs: cpu, cuda, cuda:1, ...; auto takes a GPU where there is one."""

    @model_validator(mode="before")
    @classmethod
    def _policy_has_no_name(cls, values: Any) -> Any:
        if isinstance(values, dict) and cast("dict[str, Any]", values).get("provider") == "policy":
            return {"model": "policy", **cast("dict[str, Any]", values)}
        return cast("Any", values)

    @model_validator(mode="after")
    def _consistent(self) -> "EndpointConfig":
        if self.budget is not None and not (self.input_price or self.output_price):
            raise ValueError("budget needs input_price and output_price, or nothing counts against it")
        if self.provider == "local" and self.base_url is not None:
            raise ValueError("provider=local runs the model here and has no base_url; remove it or change provider")
        if (self.input_price is None) != (self.output_price is None):
            raise ValueError("input_price and output_price belong together; give both or neither")
        return self

    def cost(self, input_tokens: int, output_tokens: int) -> float | None:
        """What so many tokens cost, in the currency of the prices; None where no prices are given."""
        if self.input_price is None or self.output_price is None:
            return None
        return (input_tokens * self.input_price + output_tokens * self.output_price) / 1e6
