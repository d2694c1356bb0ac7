"""What one output of a reward model is: its name, how often it speaks, and how its logits become scores."""

from dataclasses import dataclass
from typing import Literal

from spanwise.feedback import Density


@dataclass(frozen=True, slots=True)
class HeadSpec:
    """One head: what it judges, how often, and how its logits become scores.

    A segment head's probability that a segment is right is sigmoid(slope * logit + offset). The score of a sequence
    head, of each token of a token head and of each segment of a pooled head is (logit - mean) / std. A pooled head
    learns from pairs of responses: what it thinks of one is the mean over its segments. The numbers come from held-out
    data.
    """

    name: str
    density: Density
    kind: Literal["segment", "sequence", "token", "pooled"]
    slope: float = 1.0
    offset: float = 0.0
    mean: float = 0.0
    std: float = 1.0
