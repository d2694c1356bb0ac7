"""`ExperimentResults`: the schema of an experiment folder's `results.json`, shared by who writes it and who reports it.

An experiment folder holds `results.json` and one run folder per arm: `<root>/<arm>/` or, with several seeds,
`<root>/<arm>/<anything, say seed-3>/`, each with config.yaml, metrics.jsonl and samples.jsonl as the trainer writes
them. Whoever runs an experiment builds `ExperimentResults(...)` and calls `.save(folder)`; the report and the closing
words of a command read it with `.load(folder)`. The file knows nothing of plots or of how estimates are made
(`intervals.py`).
"""

from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from spanwise.core import DataError, read_json, write_json
from spanwise.evals.statistics.estimates import Estimate
from spanwise.evals.statistics.verdicts import Better, Verdict
from spanwise.feedback import Passage

RESULTS_VERSION = 1
RESULTS_FILE = "results.json"


class Part(BaseModel):
    """Base of all that is stored of an experiment: frozen, strict about keys, without NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)


class Stored(Part):
    """What is one JSON file of a folder."""

    FILE: ClassVar[str]
    REMEDY: ClassVar[str] = "write it anew with this version"

    def save(self, folder: Path) -> None:
        """Writes the file in `folder` beside-then-rename."""
        write_json(folder / self.FILE, self.model_dump(mode="json"))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Reads the file of `folder`; raises DataError that names the first wrong field and counts the rest."""
        path = folder / cls.FILE
        try:
            return cls.model_validate(read_json(path))
        except ValidationError as error:
            first, count = error.errors()[0], error.error_count()
            place = ".".join(str(part) for part in first["loc"]) or path.stem
            more = f" (and {count - 1} more)" if count > 1 else ""
            raise DataError(f"{path}: {place}: {first['msg']}{more}; {cls.REMEDY}.") from error


class MetricInfo(Part):
    """What a metric is called and which way is up."""

    label: str
    unit: str = ""
    """Written behind the number; "%" also multiplies it by 100."""
    better: Better = "none"
    description: str = ""
    """One sentence: what is counted over what."""
    digits: int | None = Field(default=None, ge=0, le=6)
    """Decimals as shown; without it 1 for percentages and 3 for all others."""


class Arm(Part):
    """One way of training and of decoding, with what was measured on its held-out answers."""

    label: str
    """What the policy is called; several decodings of one policy share it."""
    decoding: str = ""
    """How it answered: "greedy", "temperature 1", "best of 4", ...; empty where that is not told."""
    policy: str = ""
    """The arm whose run folder this policy lies in, where it is another arm's: the same policy decoded otherwise."""
    rivals: tuple[str, ...] = ()
    """Its free rivals: arms that cost no training with rewards, the best of which it must beat to be called better."""
    kind: str = ""
    """How it was trained: "sft", "preference", "fine-grained", "ablation", ..."""
    description: str = ""
    metrics: dict[str, Estimate] = Field(default_factory=dict)
    """By metric name; a metric that was not measured is left out and shown as "not run"."""

    @property
    def title(self) -> str:
        """The policy and how it answered: `SFT (greedy)`."""
        return f"{self.label} ({self.decoding})" if self.decoding else self.label


class Comparison(Part):
    """The difference arm - baseline of one metric on the same prompts."""

    arm: str
    baseline: str
    metric: str
    difference: Estimate
    p_value: float | None = Field(default=None, ge=0, le=1)
    """Two-sided, of the permutation test over prompts."""
    verdict: Verdict
    """As `verdicts.judge` has it. Without `rival` nothing is better: what says so is read as "not held"."""
    rival: str = ""
    """The best free rival of the arm on this metric, or the arm itself where it is one; empty where none was
    measured."""
    rival_difference: Estimate | None = None
    """The difference arm - rival, where the arm is none itself."""

    @model_validator(mode="before")
    @classmethod
    def _better_than_a_rival(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("verdict") == "better" and not values.get("rival"):
            return {**values, "verdict": "not held"}
        return values


class ReliabilityBin(Part):
    """One point of a reliability plot."""

    confidence: float
    """Mean predicted probability of the bin."""
    accuracy: float
    """Share of the bin that is truly positive."""
    count: int = Field(ge=0)


class RewardModelQuality(Part):
    """How well one head tells good from bad on held-out feedback."""

    label: str = ""
    density: str = ""
    metrics: dict[str, float | None] = Field(default_factory=dict)
    """As `spanwise reward evaluate` names them (accuracy, majority_accuracy, pair_accuracy, ...); None = not run."""
    reliability: tuple[ReliabilityBin, ...] = ()


class ExampleSpan(Part):
    """A span of an answer that a judge (the oracle, a person) marked."""

    start: int = Field(ge=0)
    end: int = Field(ge=0)
    category: str


class ExampleAnswer(Part):
    """One arm's answer, with its token scores where it was scored."""

    response: str
    tokens: tuple[str, ...] = ()
    """Text of each sampled token; joined they are the response."""
    token_scores: tuple[float | None, ...] = ()
    """Total score per token; None where a source could not score."""
    shares: dict[str, tuple[float | None, ...]] = Field(default_factory=dict)
    """Score per token of each source; they sum to the total."""
    kl: tuple[float | None, ...] = ()
    spans: tuple[ExampleSpan, ...] = ()
    """What the judge marked as wrong; None of it was seen in training."""
    missing: tuple[str, ...] = ()
    """What the judge says is left out."""
    truncated: bool = False


class Example(Part):
    """One held-out prompt with the answers of several arms."""

    prompt: str
    passages: tuple[Passage, ...] = ()
    references: tuple[str, ...] = ()
    answers: dict[str, ExampleAnswer] = Field(default_factory=dict)
    """By arm name."""


class ExperimentResults(Stored):
    """Everything that an experiment found, as its `results.json` holds it."""

    FILE: ClassVar[str] = RESULTS_FILE

    version: Literal[1] = RESULTS_VERSION
    title: str
    created: str
    """ISO date or time."""
    machine: str = ""
    command: str = ""
    """What makes these numbers again."""
    seeds: tuple[int, ...] = ()
    """Training seeds behind the numbers; none where answers were measured whose training is not known."""
    seconds: dict[str, float] = Field(default_factory=dict)
    """Wall-clock seconds of each phase."""
    config: dict[str, Any] = Field(default_factory=dict)
    metrics: dict[str, MetricInfo]
    """By metric name, in the order of the tables."""
    arms: dict[str, Arm]
    """By arm name, which is also the name of its run folder; baselines first."""
    comparisons: tuple[Comparison, ...] = ()
    """In order of interest: the first (arm, baseline) pair is the headline."""
    reward_models: dict[str, RewardModelQuality] = Field(default_factory=dict)
    notes: tuple[str, ...] = ()
    """What a reader must know before believing the numbers."""
    examples: tuple[Example, ...] = ()

    @model_validator(mode="after")
    def _names_known(self) -> "ExperimentResults":
        titles = [arm.title for arm in self.arms.values()]
        if len(set(titles)) < len(titles):
            raise ValueError("arms: two arms have the same label and decoding; tell them apart")
        if len(set(self.policies.values())) < len(self.policies):
            raise ValueError("arms: two policies have the same label; tell them apart")
        for name, arm in self.arms.items():
            _require(arm.metrics, self.metrics, f"arms.{name}.metrics")
            _require([*arm.rivals, arm.policy or name], self.arms, f"arms.{name}")
        for index, comparison in enumerate(self.comparisons):
            names = [comparison.arm, comparison.baseline, comparison.rival or comparison.arm]
            _require(names, self.arms, f"comparisons.{index}")
            _require([comparison.metric], self.metrics, f"comparisons.{index}.metric")
        for index, example in enumerate(self.examples):
            _require(example.answers, self.arms, f"examples.{index}.answers")
        return self

    @property
    def free(self) -> frozenset[str]:
        """Arms that are a free rival of another."""
        return frozenset(rival for arm in self.arms.values() for rival in arm.rivals)

    @property
    def policies(self) -> dict[str, str]:
        """The policies in the order of the arms: the arm that names the run folder, and what the policy is called."""
        return {arm.policy or name: arm.label for name, arm in self.arms.items()}

    @property
    def places(self) -> dict[str, int]:
        """Each arm's place in the legend, which is that of its policy."""
        order = list(self.policies)
        return {name: order.index(arm.policy or name) for name, arm in self.arms.items()}


def _require(names: Any, known: dict[str, Any], place: str) -> None:
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(f"{place}: {unknown[0]!r} is not one of {', '.join(known) or 'none'}")
