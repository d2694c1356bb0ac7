"""What the study of unreliable annotators keeps."""

from pydantic import BaseModel, ConfigDict


class Condition(BaseModel):
    """Who marks what."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pool: int = 10
    """People."""
    overlap: int = 3
    """People an item."""
    chance: int = 0
    """People of the pool who mark by chance."""
    noise: float = 1.0
    """How many times the usual rates of misses, false alarms and wrong categories the others have."""


class Outcome(BaseModel):
    """What a head learnt under a condition."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    condition: Condition
    method: str
    auroc: float
    """Of the head, on exact labels of other answers."""
    label_error: float
    """Share of training segments whose likelier label is wrong."""
