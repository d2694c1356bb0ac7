"""What a token-level reward model learns, from what and how: `kind: token` of `spanwise reward`, without torch."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveFloat, model_validator

from spanwise.core import Config, LoraConfig
from spanwise.feedback import Passage, Text
from spanwise.reward_models.config import FittingConfig, check_adapter
from spanwise.text import GapAnchor

TokenLossName = Literal["full", "edited", "edited+consistency"]


class RewardKind(Config):
    """Which config a file of `spanwise reward` is for; its other keys are not looked at."""

    model_config = ConfigDict(extra="ignore")

    kind: Literal["token"] | None = None
    """token: TokenRewardConfig; without the key: RewardModelConfig."""


class ResponseRecord(BaseModel):
    """One line to score: what `spanwise generate` writes, perhaps with passages; other keys are passed over."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    prompt: Text
    response: Text
    passages: tuple[Passage, ...] = ()
    truncated: bool = False
    """Whether the response ran into the length limit and has no end of its own."""


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


class TokenRewardConfig(Config):
    """A reward model with one reward per token, from edits, marked spans and word tags."""

    kind: Literal["token"] = "token"
    """One reward per token; leave the key out for reward models of segments."""
    name: str = Field(default="token", min_length=1)
    """The reward source's name in mixtures, logs and reports."""
    edits: tuple[Path, ...] = ()
    """Edit pairs (Spanwise JSONL) to train on."""
    spans: tuple[Path, ...] = ()
    """Feedback files to train on: marked spans label their tokens as wrong, the rest of a marked response as right."""
    categories: tuple[str, ...] = ()
    """Categories of marked spans that make a token wrong; none = all."""
    tags: tuple[Path, ...] = ()
    """Edit pairs to train on of which only the OK and BAD tags of the original's words are read."""
    heldout: tuple[Path, ...] = ()
    """Edit pairs for choosing the checkpoint and measuring; none = a share of the training prompts."""
    heldout_share: float = Field(default=0.15, gt=0, lt=1)
    """Share of the prompts held out when heldout names no file; all that belongs to a prompt goes together."""
    reference: tuple[Path, ...] = ()
    """Feedback files with responses of the start policy, whose tokens get rewards of mean 0 and deviation 1; none = the
    held-out originals and marked responses."""
    run_dir: Path = Path("runs/reward")
    """Run folder: config.yaml, metrics.jsonl, results.json and checkpoints/best."""
    checkpoint: Path | None = None
    """For evaluate: the reward model to judge, on heldout; empty = checkpoints/best of the run folder."""
    backbone: str = ""
    """Folder or Hub name of the pretrained model to start from; a decoder judges a token by what stands before it."""
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
    use_passages: bool = True
    """Whether the backbone reads the passages."""
    layers: int | None = Field(default=None, ge=1)
    """Keep only so many of the backbone's layers, the first ones; empty = all."""
    likelihoods: bool = False
    """Let the head also read how likely the backbone, as a language model, finds a token and what stands around it; for
    decoders. Training by gradient then begins at the exact fit."""
    lora: LoraConfig | None = None
    """Train an adapter on the frozen backbone, at fitting.lr; where `spanwise rl` trains one on the same model, both
    share its weights. null trains all weights."""
    max_length: int | None = Field(default=None, ge=8)
    """Longest input in tokens; empty = the window of the backbone. Passages are cut to fit, responses never."""
    fitting: FittingConfig = FittingConfig()
    """How the weights are fitted: gradient trains backbone and head, linear fits the head exactly on the backbone as it
    is, with the strength and the state scale that do best on the held-out pairs."""
    device: str = "auto"
    """cpu, cuda, cuda:1, ...; auto takes a GPU where there is one."""
    seed: int = 0
    """Seed of everything random."""

    @model_validator(mode="after")
    def _readable(self) -> "TokenRewardConfig":
        if self.lora is not None:
            check_adapter(self.fitting, likelihoods=self.likelihoods, layers=self.layers)
        if self.likelihoods and self.layers is not None:
            raise ValueError("likelihoods are those of the whole backbone; leave layers empty")
        if self.fitting.method == "linear" and not self.likelihoods and not any(self.fitting.state_scales):
            raise ValueError("fitting.state_scales leaves out the states; set likelihoods, or give a scale above 0")
        return self
