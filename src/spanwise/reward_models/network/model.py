"""The reward model: any Hugging Face backbone with one linear head per category, loaded by `from_pretrained`.

One forward pass reads responses once and gives the logits of every piece (segment or whole response) asked for, as
one flat list; counted features and likelihoods of the pieces may have their say beside the backbone's states.
Calibration and normalisation travel in the checkpoint. Knows nothing of texts (`inputs.py`), of files
(`checkpoint.py`) or of training.
Shapes: b rows, l tokens, n pieces, d hidden units, f features.
"""

import sys
from collections.abc import Sequence
from dataclasses import asdict
from functools import cached_property
from typing import Any, Literal, cast

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_MASKED_LM_MAPPING,
    AutoConfig,
    AutoModel,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from spanwise.core import ConfigError
from spanwise.models import Role, VocabularyHead, active
from spanwise.models.cpu import Branches, attends_in_branches, read_branches, use_on_cpu, use_products_on_cpu
from spanwise.models.encoding import form_of
from spanwise.reward_models.data import (
    WU2023,
    InputEncoder,
    PhraseCutter,
    PieceBatch,
    branch_mask,
    branch_positions,
    load_phrase_model,
)
from spanwise.reward_models.features import (
    LIKELIHOODS,
    RESPONSE_FEATURES,
    TOKEN_LIKELIHOODS,
    piece_likelihoods,
    token_likelihoods,
)
from spanwise.reward_models.heads import HeadSpec


class FeatureHeads(nn.Module):
    """Adds to the logit of each piece what its features say; says nothing until it is fitted."""

    mean: Float[Tensor, "k f"]
    scale: Float[Tensor, "k f"]
    """What a feature's distance from its mean is multiplied by; 0 where it never varied."""

    def __init__(self, heads: int, features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(heads, features))
        self.register_buffer("mean", torch.zeros(heads, features))
        self.register_buffer("scale", torch.zeros(heads, features))

    def forward(self, features: Float[Tensor, "n f"], head: Int[Tensor, " n"]) -> Float[Tensor, " n"]:
        """The share of each piece's logit, for the head that judges it."""
        standard = (features - self.mean[head]) * self.scale[head]
        return (standard * self.weight[head]).sum(1)

    def standardize(self, head: int, features: Float[Tensor, "n _"]) -> None:
        """Takes mean and spread of a head's features, the first f of all, from its training pieces."""
        values = features.double()
        spread = values.std(0, correction=0)
        width = features.shape[1]
        self.mean[head, :width] = values.mean(0).to(self.mean)
        self.scale[head, :width] = torch.where(spread > 1e-9, 1 / spread.clamp(min=1e-9), 0.0).to(self.scale)


Pooling = Literal["last", "mean"]


class SpanRewardConfig(PreTrainedConfig):
    """What `config.json` of a reward model holds: the backbone's config and the heads, as plain values."""

    model_type = "span_reward"

    def __init__(
        self,
        backbone: dict[str, Any] | None = None,
        heads: list[dict[str, Any]] | None = None,
        pooling: Pooling = "last",
        *,
        use_passages: bool = True,
        window: int = 512,
        features: list[str] | None = None,
        likelihoods: bool = False,
        phrases: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        self.backbone = backbone or {}
        self.heads = heads or []
        self.pooling: Pooling = pooling
        self.use_passages = use_passages
        self.window = window
        self.features = features or []
        """Names of the counted features beside the states; none = the heads read no such features."""
        self.likelihoods = likelihoods
        """Whether the heads also read how likely the backbone, as a language model, finds each piece."""
        self.phrases = phrases
        """The language model that cuts phrases, and its threshold; None = no head speaks of phrases."""
        super().__init__(**kwargs)

    @property
    def head_specs(self) -> tuple[HeadSpec, ...]:
        """The heads, in the order of the output units."""
        return tuple(HeadSpec(**head) for head in self.heads)

    @property
    def reads_tokens(self) -> bool:
        """Whether the one head judges single tokens."""
        return [head["kind"] for head in self.heads] == ["token"]

    def set_heads(self, heads: Sequence[HeadSpec]) -> None:
        """Replaces the heads' descriptions, for example by calibrated ones."""
        self.heads = [asdict(head) for head in heads]

    def backbone_config(self) -> PreTrainedConfig:
        """The backbone's own config."""
        values = dict(self.backbone)
        return AutoConfig.for_model(values.pop("model_type"), **values)


class SpanRewardModel(PreTrainedModel):
    """A backbone and one linear output unit per head."""

    config_class = SpanRewardConfig
    config: SpanRewardConfig
    base_model_prefix = "backbone"
    _supports_sdpa = True

    def __init__(self, config: SpanRewardConfig, backbone: PreTrainedModel | None = None) -> None:
        super().__init__(config)
        inner = config.backbone_config()
        self.backbone = backbone if backbone is not None else cast("PreTrainedModel", AutoModel.from_config(inner))
        use_products_on_cpu(cast("nn.Module", self.backbone))
        self._in_branches = False
        """Whether rows of several responses are read without the mask of who sees whom, found out by `packs`."""
        self.role: Role | None = None
        """The adapter that is on while the backbone is read; None where all weights are the reward model's own."""
        self.heads = nn.Linear(inner.get_text_config().hidden_size, len(config.heads))
        likelihoods = TOKEN_LIKELIHOODS if config.reads_tokens else LIKELIHOODS
        width = len(config.features) + len(likelihoods) * config.likelihoods
        self.feature_heads = FeatureHeads(len(config.heads), width) if width else None
        self._options = {"use_cache": False} if is_causal(inner) else {}
        self.vocabulary = _vocabulary_head(inner) if config.likelihoods and not inner.tie_word_embeddings else None
        self.post_init()

    def forward(
        self,
        input_ids: Int[Tensor, "b l"],
        attention_mask: Bool[Tensor, "b l"],
        pieces: Int[Tensor, "n 4"],
        branches: Int[Tensor, "b l"] | None = None,
        features: Float[Tensor, "n f"] | None = None,
        *,
        contexts: Int[Tensor, "n 4"] | None = None,
    ) -> Float[Tensor, " n"]:
        """One raw logit per piece, in the order of `pieces` (columns: row, head, first token, last token).

        With `branches`, a row holds several responses after one prompt (`packing.py`).
        """
        states, extra = self.read(PieceBatch(input_ids, attention_mask, pieces, branches, features, contexts))
        head = pieces[:, 1]
        logits = self.heads(states.to(self.heads.weight.dtype)).gather(1, head[:, None])[:, 0]
        return logits if self.feature_heads is None or extra is None else logits + self.feature_heads(extra, head)

    def score(self, batch: PieceBatch) -> Float[Tensor, " n"]:
        """`forward` on a batch."""
        return self(batch.ids, batch.mask, batch.pieces, batch.branches, batch.features, contexts=batch.contexts)

    def read(self, batch: PieceBatch) -> tuple[Float[Tensor, "n d"], Float[Tensor, "n f"] | None]:
        """What the heads read of each piece: the backbone's state and, where the model takes any, the features."""
        if self.config.features and batch.features is None:
            raise ValueError("this reward model was trained on features beside the states; pass them")
        hidden = self._hidden(batch.ids, batch.mask, batch.branches)
        rows, _, first, last = batch.pieces.unbind(1)
        states = hidden[rows, last] if self.config.pooling == "last" else _means(hidden, rows, first, last)
        parts = [batch.features] if self.config.features and batch.features is not None else []
        if self.config.likelihoods:
            parts.append(self._likelihoods(hidden, batch))
        return states, torch.cat(parts, 1) if parts else None

    @cached_property
    def packs(self) -> bool:
        """Whether the backbone reads responses that share a prompt in one row as it reads them in separate rows.

        Tried out on a few tokens, because some architectures ignore masks of this kind.
        """
        if not is_causal(self.backbone.config):
            return False
        use_on_cpu(self.backbone)  # not when it is made, which may be before it is anywhere
        self._in_branches = attends_in_branches(self.backbone) and self._packs_alike(in_branches=True)
        return self._in_branches or self._packs_alike(in_branches=False)

    @property
    def pack_to(self) -> int:
        """How many tokens a row of several responses may have; 0 where the backbone must read them in separate rows."""
        if not self.packs:
            return 0
        return sys.maxsize if self._reads_in_branches() else self.config.window

    def _packs_alike(self, *, in_branches: bool) -> bool:
        ids = torch.tensor([[3, 4, 5, 6, 7, 8, 9]], device=self.device)
        branches = torch.tensor([[0, 0, 0, 1, 1, 2, 2]], device=self.device)
        alone = ids[:, [0, 1, 2, 5, 6]]
        training = self.training
        self.eval()
        try:
            with torch.inference_mode():
                read = self._hidden_in_branches if in_branches else self._hidden
                packed = read(ids, torch.ones_like(ids, dtype=torch.bool), branches)[:, 5:]
                single = self._hidden(alone, torch.ones_like(alone, dtype=torch.bool), None)[:, 3:]
        except (RuntimeError, TypeError, ValueError):
            return False
        finally:
            self.train(training)
        rounding = 1e-4 if packed.dtype == torch.float32 else 5e-2
        return torch.allclose(packed, single, rtol=10 * rounding, atol=rounding)

    def own_tensors(self) -> dict[str, Tensor]:
        """All weights and statistics that belong to this model."""
        return self.state_dict()

    def _likelihoods(self, hidden: Float[Tensor, "b l d"], batch: PieceBatch) -> Float[Tensor, "n f"]:
        head = self._output_head()
        if not self.config.reads_tokens:
            return piece_likelihoods(hidden, head, batch.ids, batch.pieces, batch.branches)
        if batch.contexts is None:
            raise ValueError("this reward model reads the clauses around tokens; encode inputs with its own encoder")
        return token_likelihoods(
            hidden, head, batch.ids, batch.pieces, contexts=batch.contexts, branches=batch.branches
        )

    def _output_head(self) -> VocabularyHead:
        """The vocabulary head, its own or the token embeddings, with the scale and cap that the config names."""
        linear = self.vocabulary
        if linear is None:
            weight = cast("nn.Embedding", self.backbone.get_input_embeddings()).weight
            linear = nn.Linear(weight.shape[1], weight.shape[0], bias=False, device="meta")
            linear.weight = cast("nn.Parameter", weight)
        return VocabularyHead.named(linear, linear.out_features, self.backbone.config)

    def _hidden(self, ids: Tensor, mask: Tensor, branches: Tensor | None) -> Float[Tensor, "b l d"]:
        inputs = {"attention_mask": mask.long()}
        if branches is not None:
            if self._reads_in_branches():
                return self._hidden_in_branches(ids, mask, branches)
            seen = branch_mask(mask, branches)[:, None]
            inputs = {"attention_mask": seen, "position_ids": branch_positions(branches)}
        with active(self.role):
            return self.backbone(input_ids=ids, **inputs, **self._options).last_hidden_state

    def _reads_in_branches(self) -> bool:
        """Not while it is trained, when attention may drop out."""
        return self._in_branches and not self.training and self.device.type == "cpu"

    def _hidden_in_branches(self, ids: Tensor, mask: Tensor, branches: Tensor) -> Float[Tensor, "b l d"]:
        counts = [((branches == k) & mask).sum(1) for k in range(int(branches.max()) + 1)]
        lengths = torch.stack(counts, 1).tolist()
        common, own = mask & (branches == 0), mask & (branches > 0)
        layout = Branches([row[0] for row in lengths], [row[1:] for row in lengths])
        with active(self.role):
            states = read_branches(self.backbone, torch.cat([ids[common], ids[own]]), layout)
        hidden = states.new_zeros(*ids.shape, states.shape[-1])
        hidden[common], hidden[own] = states[: layout.trunk], states[layout.trunk :]
        return hidden


def build_reward_model(
    backbone: PreTrainedModel,
    heads: Sequence[HeadSpec],
    *,
    pooling: Literal["auto", "last", "mean"] = "auto",
    use_passages: bool = True,
    features: bool = False,
    likelihoods: bool = False,
    phrases: dict[str, Any] | None = None,
    window: int,
    generator: torch.Generator,
) -> SpanRewardModel:
    """A reward model on the weights of `backbone`, its heads drawn from `generator`.

    A language model gives its body, and its vocabulary head for likelihoods; the reward model takes them over. Raises
    ConfigError for an encoder-decoder, and where likelihoods are asked of a model that has none.
    """
    body = cast("PreTrainedModel", backbone.base_model)
    inner = body.config
    output = backbone.get_output_embeddings()
    if likelihoods and (not is_causal(inner) or (output is None and not inner.tie_word_embeddings)):
        raise ConfigError(f"likelihoods: {inner.model_type} is no language model that reads left to right; unset it.")
    if inner.is_encoder_decoder:
        raise ConfigError(f"backbone: {inner.model_type} has an encoder and a decoder; take a model with one of them.")
    config = SpanRewardConfig(
        backbone=inner.to_dict(),
        pooling=pooling if pooling != "auto" else ("last" if is_causal(inner) else "mean"),
        use_passages=use_passages,
        window=window,
        features=list(RESPONSE_FEATURES) if features else [],
        likelihoods=likelihoods,
        phrases=phrases,
        pad_token_id=inner.pad_token_id,
    )
    config.set_heads(heads)
    with torch.random.fork_rng():  # layers draw their first weights from the global generator
        model = SpanRewardModel(config, backbone=body)
    if model.vocabulary is not None and isinstance(output, nn.Linear):
        model.vocabulary.weight.data.copy_(output.weight)
    nn.init.normal_(model.heads.weight, std=0.02, generator=generator)
    nn.init.zeros_(model.heads.bias)
    return model


def encoder_of(model: SpanRewardModel, tokenizer: PreTrainedTokenizerBase) -> InputEncoder:
    """The input encoder that belongs to a model: the same in training and in serving, prompts included."""
    clauses = model.config.likelihoods and model.config.reads_tokens
    cut = model.config.phrases
    return InputEncoder(
        tokenizer,
        max_length=model.config.window,
        use_passages=model.config.use_passages,
        densities=[*(head.density for head in model.config.head_specs), *(["sub-sentence"] if clauses else [])],
        features=bool(model.config.features),
        form=form_of(model) or WU2023,  # of checkpoints that do not say: there was no other form then
        phrases=PhraseCutter(load_phrase_model(cut["model"]), cut["threshold"]) if cut else None,
    )


def pad_id_of(tokenizer: PreTrainedTokenizerBase) -> int:
    """Any id serves as padding, because the mask says what counts."""
    return tokenizer.pad_token_id if isinstance(tokenizer.pad_token_id, int) else 0


def is_causal(config: PreTrainedConfig) -> bool:
    """Whether a model of this config reads left to right: it can continue text and cannot fill gaps."""
    return type(config) in MODEL_FOR_CAUSAL_LM_MAPPING and type(config) not in MODEL_FOR_MASKED_LM_MAPPING


def _vocabulary_head(config: PreTrainedConfig) -> nn.Linear:
    """Room for a language model's own vocabulary head; it is read, never trained."""
    text = config.get_text_config()
    return nn.Linear(text.hidden_size, text.vocab_size, bias=False).requires_grad_(False)


def _means(hidden: Tensor, rows: Tensor, first: Tensor, last: Tensor) -> Float[Tensor, "n d"]:
    """Mean state over the tokens first..last of each piece, from running sums in double precision."""
    sums = nn.functional.pad(hidden.double().cumsum(1), (0, 0, 1, 0))
    means = (sums[rows, last + 1] - sums[rows, first]) / (last - first + 1)[:, None]
    return means.to(hidden.dtype)


AutoConfig.register(SpanRewardConfig.model_type, SpanRewardConfig)
AutoModel.register(SpanRewardConfig, SpanRewardModel)
