"""What a reward model learns, from what and how: the config of `spanwise reward`, importable without torch.

`kind` decides between scores of segments and whole answers (RewardModelConfig) and rewards of tokens
(TokenRewardConfig); both share the settings of RewardConfig.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveFloat, model_validator

from spanwise.core import Config, LoraConfig
from spanwise.feedback import Density, Passage, PromptConfig, Text, Tools, Turns, read_turns
from spanwise.text import GapAnchor
from spanwise.training import LoopConfig

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
    praise_categories: tuple[str, ...] = ()
    """Categories of marks that praise: a segment that one touches and that is not wrong is right, also where another
    mark would leave it without a label."""
    severity_weights: dict[str, Annotated[float, Field(ge=0, le=1)]] = Field(default_factory=dict[str, float])
    """How wrong a span of each severity makes its segment, 1 = wholly; needed where marks have one."""


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


class FittingConfig(LoopConfig):
    """How the weights are fitted."""

    RENAMED: ClassVar[Mapping[str, str]] = {
        "lr": "learning_rate",
        "head_lr": "head_learning_rate",
        "warmup_share": "warmup_ratio",
    }

    method: Literal["gradient", "linear"] = "gradient"
    """gradient trains backbone and heads; linear leaves the backbone as it is and fits the heads exactly, within
    seconds, which learns more from a few hundred marked answers. strengths and state_scales are of linear, the others
    of gradient."""
    strengths: tuple[PositiveFloat, ...] = Field(default=(0.0003, 0.001, 0.003, 0.01, 0.03), min_length=1)
    """Inverse ridge penalties to choose from, for each head by cross-validation over the training questions."""
    state_scales: tuple[NonNegativeFloat, ...] = Field(default=(0.0, 0.1, 0.3), min_length=1)
    """Spreads to choose from likewise that the backbone's states get beside features of spread 1; 0 = no states."""
    epochs: int = Field(default=3, ge=1)
    """Passes over the training records."""
    batch_size: int = Field(default=8, ge=1)
    """Records per optimiser step; all responses of a record come along."""
    learning_rate: float = Field(default=5e-5, gt=0)
    """Peak learning rate of the backbone, or of its adapter."""
    head_learning_rate: float = Field(default=1e-3, gt=0)
    """Peak learning rate of the heads and of the position offset, which start from nothing."""
    weight_decay: float = Field(default=0.01, ge=0)
    """Decoupled weight decay, on the backbone's matrices only."""
    warmup_ratio: float = Field(default=0.1, ge=0, lt=1)
    """Share of the steps over which the learning rate rises from 0."""


class RewardConfig(Config):
    """What reward models of every kind have in common."""

    heldout: tuple[Path, ...] = ()
    """Files for choosing the checkpoint, calibrating and measuring: feedback, of kind token edit pairs; none = a share
    of the training questions."""
    heldout_share: float = Field(default=0.15, gt=0, lt=1)
    """Share of the questions held out when heldout names no file; all that belongs to a question goes together."""
    run_dir: Path = Path("runs/reward")
    """Run folder: config.yaml, metrics.jsonl, results.json and checkpoints/best."""
    backbone: str = ""
    """Folder or Hub name of the pretrained model to start from, an encoder (BERT) or a decoder (Llama)."""
    checkpoint: Path | None = None
    """For evaluate: the reward model to judge; empty = checkpoints/best of the run folder."""
    prompt: PromptConfig = PromptConfig()
    """How prompts are read; kept in the checkpoint, so that scoring reads them in the same way."""
    use_passages: bool = True
    """Whether the backbone reads the passages; the paper's relevance model does not."""
    likelihoods: bool = False
    """Let the heads also read how likely the backbone, as a language model, finds a segment's tokens; for
    decoders, with fitting.method linear."""
    layers: int | None = Field(default=None, ge=1)
    """Keep only so many of the backbone's layers, the first ones; empty = all."""
    lora: LoraConfig | None = None
    """Train an adapter on the frozen backbone, at fitting.learning_rate; where `spanwise rl` trains one on the same
    model, both share its weights. null trains all weights."""
    max_length: int | None = Field(default=None, ge=8)
    """Longest input in tokens; empty = the window of the backbone. Passages are cut to fit, responses never."""
    fitting: FittingConfig = FittingConfig()
    """How the weights are fitted."""
    device: str = "auto"
    """cpu, cuda, cuda:1, ...; auto takes a GPU where there is one."""
    seed: int = 0
    """Seed of everything random."""

    @model_validator(mode="before")
    @classmethod
    def _keys_of_this_kind(cls, values: Any) -> Any:
        if isinstance(values, dict):
            for key in cast("dict[str, Any]", values):
                for kind, other in _kinds().items():
                    if key not in cls.model_fields and key in other.model_fields:
                        raise ValueError(f"unknown key {key}; it is of kind: {kind}, set that or leave {key} out")
        return values

    @model_validator(mode="after")
    def _adapter_fits(self) -> "RewardConfig":
        if self.lora is None:
            return self
        if self.fitting.method == "linear":
            raise ValueError("lora trains an adapter by gradient; fitting.method linear trains nothing below the heads")
        if self.likelihoods or self.layers is not None:
            raise ValueError("lora adapts the backbone as it is, and likelihoods are those of the backbone without "
                             "adapters: leave likelihoods and layers out")  # fmt: skip
        return self


class PhraseConfig(Config):
    """How responses are cut into phrases: where a language model is unsure how they go on."""

    model: str = Field(min_length=1)
    """Folder or Hub name of the language model, usually the policy that RL will start from; it stays as it is."""
    mean_tokens: float = Field(default=6.0, gt=1)
    """How many of its tokens a phrase has on average, over the training responses."""
    threshold: float | None = Field(default=None, ge=0)
    """Entropy in nats above which a phrase ends; null finds the one that gives mean_tokens. The checkpoint keeps it."""


class RewardModelConfig(RewardConfig):
    """One reward model: a backbone with one head per category. For separate models, write one config each."""

    kind: Literal["segment"] = "segment"
    """segment: heads that score segments and whole answers; token: one reward per token."""
    data: tuple[Path, ...] = ()
    """Feedback files (Spanwise JSONL) to train on."""
    test: tuple[Path, ...] = ()
    """For evaluate: feedback files to judge on, of questions that training has not seen."""
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
    features: bool = False
    """Let the heads also read counted features: position, length, overlap with question, passages, what was said."""
    pool: Density = "sequence"
    """What the preference head scores: sequence = a whole answer; any other density = its segments, learnt from the
    same preferences by the mean over each answer."""
    phrases: PhraseConfig | None = None
    """With pool=phrase: how phrases are cut."""
    pooling: Literal["auto", "last", "mean"] = "auto"
    """State of a segment: that of its last token, or the mean; auto = last for decoders, mean for encoders."""

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
        if (self.pool == "phrase") != (self.phrases is not None):
            raise ValueError("pool=phrase and phrases go together; set both or neither")
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


TokenLossName = Literal["full", "edited", "edited+consistency"]


class TokenLossConfig(Config):
    """What a pair of an original and its edit teaches."""

    name: TokenLossName = "edited+consistency"
    """full compares the means over all tokens (Xu et al. 2024, equations 1 to 3); edited the changed tokens alone
    (equation 4); edited+consistency also asks that tokens that stay get one reward on both sides, and one near 0."""
    temperature: PositiveFloat = 10.0
    """Factor of the difference: few changed tokens among many make a small one."""
    margin: NonNegativeFloat = 0.0
    """What is taken off the difference after its factor: the edit has to win by so much."""
    divide_by: Literal["length", "changed"] = "length"
    """length divides a side's sum by all its tokens, as the paper; changed by its changed tokens."""
    consistency: NonNegativeFloat = 0.1
    """Weight of the mean squared difference between the two rewards of a token that stays."""
    neutral: NonNegativeFloat = 0.01
    """Weight of the mean squared reward of the tokens that stay."""

    @model_validator(mode="after")
    def _possible(self) -> "TokenLossConfig":
        if self.name == "full" and self.divide_by == "changed":
            raise ValueError("the full loss compares means over all tokens; set divide_by to length")
        return self


class TokenRewardConfig(RewardConfig):
    """A reward model with one reward per token, from edits, marked spans and word tags."""

    kind: Literal["token"] = "token"
    """token: one reward per token; segment: heads that score segments and whole answers."""
    name: str = Field(default="token", min_length=1)
    """The reward source's name in mixtures, logs and reports."""
    edits: tuple[Path, ...] = ()
    """Edit pairs (Spanwise JSONL) to train on."""
    spans: tuple[Path, ...] = ()
    """Feedback files to train on: marked spans label their tokens as wrong, the rest of a marked response as right."""
    categories: tuple[str, ...] = ()
    """Categories of marked spans that make a token wrong; none = all."""
    praise_categories: tuple[str, ...] = ()
    """Categories of marks that praise; their tokens are right, as those that nobody marked."""
    severity_weights: dict[str, Annotated[float, Field(ge=0, le=1)]] = Field(default_factory=dict[str, float])
    """How wrong a span of each severity makes its tokens, 1 = wholly; needed where marks of the categories have one."""
    tags: tuple[Path, ...] = ()
    """Edit pairs to train on of which only the OK and BAD tags of the original's words are read."""
    reference: tuple[Path, ...] = ()
    """Feedback files with responses of the start policy, whose tokens get rewards of mean 0 and deviation 1; none = the
    held-out originals and marked responses."""
    loss: TokenLossConfig = TokenLossConfig()
    """What an edit pair teaches."""
    merge_gap: int = Field(default=2, ge=0)
    """Up to so many equal tokens between two changes count as changed with them."""
    gap_anchor: GapAnchor = "end"
    """Which insertions blame a token of the original: end = those before its end, whose end-of-sequence token came too
    early; all = each blames the token in its place; none."""
    label_edits: bool = False
    """Also label the originals' tokens by their edits, changed = wrong, kept = right: pairs teach which text is better,
    labels which of its tokens are worse, whatever the editor's own words look like."""
    label_weight: NonNegativeFloat = 1.0
    """Weight of the loss on labelled tokens beside that on pairs."""
    likelihoods: bool = False
    """Let the head also read how likely the backbone, as a language model, finds a token and what stands around it; for
    decoders. Training by gradient then begins at the exact fit."""

    @model_validator(mode="after")
    def _readable(self) -> "TokenRewardConfig":
        if self.likelihoods and self.layers is not None:
            raise ValueError("likelihoods are those of the whole backbone; leave layers empty")
        if self.fitting.method == "linear" and not self.likelihoods and not any(self.fitting.state_scales):
            raise ValueError("fitting.state_scales leaves out the states; set likelihoods, or give a scale above 0")
        return self


def _kinds() -> dict[str, type[RewardConfig]]:
    return {"segment": RewardModelConfig, "token": TokenRewardConfig}


class _Kind(Config):
    """The one key that says which config a file is for."""

    model_config = ConfigDict(extra="ignore")

    kind: Literal["segment", "token"] = "segment"


def load_reward_config(path: Path, overrides: Sequence[str] = ()) -> RewardModelConfig | TokenRewardConfig:
    """The config in a YAML file, of the kind that it names; raises ConfigError as `Config.load` does."""
    kind = _Kind.load(path, overrides).kind
    return (TokenRewardConfig if kind == "token" else RewardModelConfig).load(path, overrides)


class ResponseRecord(BaseModel):
    """One line to score: what `spanwise generate` writes, perhaps with passages; other keys are passed over."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    prompt: Text
    response: Text
    messages: Turns = ()
    """The turns before the response, where the prompt is a conversation; without a response, their last turn is it."""
    tools: Tools = ()
    """The tools that the assistant may call."""
    passages: tuple[Passage, ...] = ()
    truncated: bool = False
    """Whether the response ran into the length limit and has no end of its own."""

    @model_validator(mode="before")
    @classmethod
    def _turns(cls, values: Any) -> Any:
        fields = read_turns(values, answer_at="response")
        answer: Any = fields.get("response") if isinstance(fields, dict) else None
        return {**fields, "response": answer.get("content", "")} if isinstance(answer, dict) else fields
