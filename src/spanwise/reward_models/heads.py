"""What one output of a reward model is: its name, how often it speaks, and how its logits become scores."""

from dataclasses import dataclass
from typing import Literal

from spanwise.feedback import Density


@dataclass(frozen=True, slots=True)
class HeadSpec:
    """One head: what it judges, how often, and how its logits become scores.

    A segment head's probability that a segment is right is sigmoid(slope * logit + offset); a sequence head's score,
    and that of each token of a token head, is (logit - mean) / std. The numbers come from held-out data.
    """

    name: str
    density: Density
    kind: Literal["segment", "sequence", "token"]
    slope: float = 1.0
    offset: float = 0.0
    mean: float = 0.0
    std: float = 1.0
