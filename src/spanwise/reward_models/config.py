"""What a reward model learns, from what and how: the config of `spanwise reward`, importable without torch."""

from pathlib import Path
from typing import Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, model_validator

from spanwise.core import Config, LoraConfig
from spanwise.feedback import Density

HEADS = ("relevance", "factuality", "completeness", "preference")
"""The heads that need no further description."""

PAIR_HEADS = ("completeness", "preference")
"""Heads that learn from pairs of whole responses."""


class SpanRule(Config):
    """How marked spans label the segments of a response."""

    density: Density = "sentence"
    """Unit of judgement: sub-sentence, sentence, paragraph or sequence."""
    categories: tuple[str, ...] = ()
    """Categories of marked spans that make a segment wrong."""
    min_span_words: int = Field(default=0, ge=0)
    """Spans of these categories with fewer words are overlooked."""
    min_coverage: float = Field(default=0.0, ge=0, lt=1)
    """A segment is wrong when such spans cover more than this share of its characters; 0 = when one touches it."""
    soft: bool = False
    """Label a segment with the share of it that no such span covers, instead of 0 or 1."""
    ignore_categories: tuple[str, ...] = ()
    """A segment that is not wrong but touched by a span of these categories gets no label."""
    ignore_min_span_words: int = Field(default=0, ge=0)
    """Spans of the ignore categories with fewer words are overlooked."""


class RelevanceRule(SpanRule):
    """Sub-sentences with something irrelevant, repeated or incoherent are wrong."""

    density: Density = "sub-sentence"
    """Unit of judgement: sub-sentence, sentence, paragraph or sequence."""
    categories: tuple[str, ...] = ("Irrelevant", "Redundant", "Incoherent")
    """Categories of marked spans that make a segment wrong."""
    min_span_words: int = Field(default=5, ge=0)
    """Spans of these categories with fewer words are overlooked."""


class FactualityRule(SpanRule):
    """Sentences with a wrong or unverifiable fact are wrong; irrelevant ones were not checked and are ignored."""

    categories: tuple[str, ...] = ("Wrong-Grounding", "Unverifiable")
    """Categories of marked spans that make a segment wrong."""
    ignore_categories: tuple[str, ...] = ("Irrelevant", "Redundant", "Incoherent")
    """A segment that is not wrong but touched by a span of these categories gets no label."""
    ignore_min_span_words: int = Field(default=5, ge=0)
    """Spans of the ignore categories with fewer words are overlooked."""


class CompletenessRule(Config):
    """Which of two responses leaves less out."""

    source: Literal["auto", "missing", "coverage"] = "auto"
    """missing counts the marked missing information; coverage matches texts with passages as the paper does; auto takes
    missing for records whose responses are all marked."""
    overlook: tuple[str, ...] = ("Missing-Minor-Auxiliary",)
    """Categories of missing information that do not count."""
    match_threshold: float = Field(default=0.85, gt=0, le=1)
    """With coverage: a sub-sentence states a passage sentence when they are at least this similar."""


class FittingConfig(Config):
    """How the weights are fitted."""

    method: Literal["gradient", "linear"] = "gradient"
    """gradient trains backbone and heads; linear leaves the backbone as it is and fits the heads exactly, within
    seconds, which learns more from a few hundred marked answers. The next three fields are of linear, the others of
    gradient."""
    strengths: tuple[PositiveFloat, ...] = Field(default=(0.0003, 0.001, 0.003, 0.01, 0.03), min_length=1)
    """Inverse ridge penalties to choose from, for each head by cross-validation over the training questions."""
    state_scales: tuple[NonNegativeFloat, ...] = Field(default=(0.0, 0.1, 0.3), min_length=1)
    """Spreads to choose from likewise that the backbone's states get beside features of spread 1; 0 = no states."""
    epochs: int = Field(default=3, ge=1)
    """Passes over the training records."""
    batch_size: int = Field(default=8, ge=1)
    """Records per optimiser step; all responses of a record come along."""
    lr: float = Field(default=5e-5, gt=0)
    """Peak learning rate of the backbone, or of its adapter."""
    head_lr: float = Field(default=1e-3, gt=0)
    """Peak learning rate of the heads and of the position offset, which start from nothing."""
    weight_decay: float = Field(default=0.01, ge=0)
    """AdamW's weight decay, on matrices only."""
    warmup_share: float = Field(default=0.1, ge=0, lt=1)
    """Share of the steps over which the learning rate rises; after that it falls linearly to 0."""
    max_grad_norm: float = Field(default=1.0, gt=0)
    """Gradients are scaled down to this norm."""


class RewardModelConfig(Config):
    """One reward model: a backbone with one head per category. For separate models, write one config each."""

    data: tuple[Path, ...] = ()
    """Feedback files (Spanwise JSONL) to train on."""
    heldout: tuple[Path, ...] = ()
    """Feedback files for choosing the checkpoint and calibrating; none = a share of the training questions."""
    heldout_share: float = Field(default=0.15, gt=0, lt=1)
    """Share of the questions held out when heldout names no file; all records of a question go together."""
    test: tuple[Path, ...] = ()
    """For evaluate: feedback files to judge on, of questions that training has not seen."""
    run_dir: Path = Path("runs/reward")
    """Run folder: config.yaml, metrics.jsonl, results.json and checkpoints/best."""
    backbone: str = ""
    """Folder or Hub name of the pretrained model to start from, an encoder (BERT) or a decoder (Llama)."""
    checkpoint: Path | None = None
    """For evaluate: the reward model to judge; empty = checkpoints/best of the run folder."""
    heads: tuple[str, ...] = HEADS
    """Heads to train: relevance, factuality, completeness, preference, or keys of custom."""
    relevance: RelevanceRule = RelevanceRule()
    """How marks label the relevance head."""
    factuality: FactualityRule = FactualityRule()
    """How marks label the factuality head."""
    completeness: CompletenessRule = CompletenessRule()
    """How the pairs of the completeness head are made."""
    custom: dict[str, SpanRule] = Field(default_factory=dict[str, SpanRule])
    """Further span heads by name, for other taxonomies."""
    loss_weights: dict[str, float] = Field(default_factory=dict[str, float])
    """Weight of a head's loss; 1 where not named."""
    position_offset: bool = True
    """Let the preference loss learn what the first-listed response gains by its place, and leave that out of scores."""
    use_passages: bool = True
    """Whether the backbone reads the passages; the paper's relevance model does not."""
    features: bool = False
    """Let the heads also read counted features: position, length, overlap with question, passages, what was said."""
    likelihoods: bool = False
    """Let the heads also read how likely the backbone, as a language model, finds a segment's tokens; for decoders,
    with fitting.method linear."""
    layers: int | None = Field(default=None, ge=1)
    """Keep only so many of the backbone's layers, the first ones; empty = all."""
    pooling: Literal["auto", "last", "mean"] = "auto"
    """State of a segment: that of its last token, or the mean; auto = last for decoders, mean for encoders."""
    lora: LoraConfig | None = None
    """Train an adapter on the frozen backbone, at fitting.lr; where `spanwise rl` trains one on the same model, both
    share its weights. null trains all weights."""
    max_length: int | None = Field(default=None, ge=8)
    """Longest input in tokens; empty = the window of the backbone. Passages are cut to fit, responses never."""
    fitting: FittingConfig = FittingConfig()
    """How the weights are fitted."""
    device: str = "auto"
    """cpu, cuda, cuda:1, ...; auto takes a GPU where there is one."""
    seed: int = 0
    """Seed of everything random."""

    @model_validator(mode="after")
    def _known_heads(self) -> "RewardModelConfig":
        known = (*HEADS, *self.custom)
        for name in (*self.heads, *self.loss_weights):
            if name not in known:
                raise ValueError(f"no head is called {name!r}; known are {', '.join(known)}, others go under custom")
        if not self.heads or len(set(self.heads)) != len(self.heads):
            raise ValueError("heads must name at least one head, each once")
        clash = sorted(set(HEADS) & set(self.custom))
        if clash:
            raise ValueError(f"custom.{clash[0]} has the name of a built-in head; rename it")
        if self.lora is not None:
            check_adapter(self.fitting, likelihoods=self.likelihoods, layers=self.layers)
        extra = self.features or self.likelihoods
        if self.fitting.method == "linear" and not extra and not any(self.fitting.state_scales):
            raise ValueError("fitting.state_scales leaves out the states; set features, or give a scale above 0")
        if self.likelihoods and (self.fitting.method != "linear" or self.layers is not None):
            raise ValueError("likelihoods are those of the whole backbone as it was: set fitting.method to linear, "
                             "and leave layers empty")  # fmt: skip
        return self

    @property
    def span_rules(self) -> dict[str, SpanRule]:
        """The labelling rules of the span heads to train, in the order of `heads`."""
        rules: dict[str, SpanRule] = {"relevance": self.relevance, "factuality": self.factuality, **self.custom}
        return {name: rules[name] for name in self.heads if name in rules}


def check_adapter(fitting: FittingConfig, *, likelihoods: bool, layers: int | None) -> None:
    """ValueError for settings that do not go with an adapter."""
    if fitting.method == "linear":
        raise ValueError("lora trains an adapter by gradient; fitting.method linear trains nothing below the heads")
    if likelihoods or layers is not None:
        raise ValueError("lora adapts the backbone as it is, and likelihoods are those of the backbone without "
                         "adapters: leave likelihoods and layers out")  # fmt: skip
