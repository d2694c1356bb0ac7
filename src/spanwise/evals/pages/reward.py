"""`spanwise reward evaluate --output`: one self-contained page about a reward model, reliability plots included.

Takes finished figures; knows nothing of models.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from spanwise.evals.report import (
    Cell,
    Column,
    Table,
    TableRow,
    quality_tables,
    reliability_panels,
    render_page,
)
from spanwise.evals.statistics import MINUS, MISSING, RewardModelQuality

BIAS_LABELS = {
    "length_correlation": "Score and length",
    "label_length_correlation": "Label and length",
    "position_correlation": "Score and position",
    "label_position_correlation": "Label and position",
    "accuracy_longer_better": "Accuracy, longer is better",
    "accuracy_shorter_better": "Accuracy, shorter is better",
    "prefers_longer": "Score prefers the longer",
    "label_prefers_longer": "Label prefers the longer",
    "prefers_first_listed": "Score prefers the first listed",
    "label_prefers_first_listed": "Label prefers the first listed",
}


@dataclass(frozen=True)
class RewardFindings:
    """Everything that was measured of one reward model."""

    checkpoint: str
    quality: Mapping[str, RewardModelQuality]
    bias: Mapping[str, Mapping[str, float]]
    agreement: Mapping[str, float]
    transfer: Mapping[str, Mapping[str, RewardModelQuality]]
    """By data set and head."""
    left_out: Mapping[str, int] = field(default_factory=dict[str, int])
    """What was not measured, by reason."""
    seen: tuple[str, ...] = ()
    """A sentence for each file with questions of the training data."""


def render_reward_page(found: RewardFindings) -> str:
    """The page."""
    return render_page(
        "reward.html",
        found=found,
        quality=quality_tables(found.quality),
        reliability=reliability_panels(found.quality, "reliability"),
        bias=_bias_table(found.bias),
        transfer=_transfer_table(found),
    )


def _bias_table(bias: Mapping[str, Mapping[str, float]]) -> Table | None:
    names = [name for name in BIAS_LABELS if any(name in values for values in bias.values())]
    rows = tuple(
        TableRow(head, tuple(_cell(values.get(name)) for name in names)) for head, values in bias.items() if values
    )
    return Table(tuple(Column(BIAS_LABELS[name]) for name in names), rows) if rows else None


def _transfer_table(found: RewardFindings) -> Table | None:
    """AUROC or pair accuracy of each head on every data set, the test set first."""
    if not found.transfer:
        return None
    sets = {"test": found.quality, **found.transfer}
    rows = tuple(
        TableRow(
            head,
            tuple(_cell(_headline(qualities.get(head))) for qualities in sets.values()),
            _named(found.quality[head]),
        )
        for head in found.quality
    )
    return Table(tuple(Column(name) for name in sets), rows)


def _headline(quality: RewardModelQuality | None) -> float | None:
    if quality is None:
        return None
    return quality.metrics.get("auroc", quality.metrics.get("pair_accuracy"))


def _named(quality: RewardModelQuality) -> str:
    return "pair accuracy" if "pair_accuracy" in quality.metrics else "AUROC"


def _cell(value: float | None) -> Cell:
    return Cell(MISSING) if value is None else Cell(f"{value:.3f}".replace("-", MINUS))
