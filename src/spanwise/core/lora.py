"""Settings of low-rank adapters, the same for every command that trains some. Knows nothing of models."""

from pydantic import Field

from spanwise.core.config import Config


class LoraConfig(Config):
    """Low-rank adapters on every linear layer but the vocabulary head (Hu et al. 2021)."""

    rank: int = Field(default=16, ge=1)
    """Rank of each adapter."""
    alpha: float = Field(default=32.0, gt=0)
    """An adapter's output is multiplied by alpha / rank."""
