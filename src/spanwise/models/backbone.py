"""One view of causal and encoder-decoder transformers: the hidden states that predict response tokens.

`Backbone.forward` reads whole responses at once (teacher forcing), `Backbone.start` reads them token by token with a
cache, which grows by many tokens at a time; both give the same states. Responses to one prompt share its reading where
that is worth it. Policies put a vocabulary head on the states, value models a scalar head. Nothing here knows of
vocabularies, sampling or rewards.
"""

import contextlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional
from transformers import DynamicCache, EncoderDecoderCache, PreTrainedConfig, PreTrainedModel
from transformers.cache_utils import DynamicLayer

from spanwise.core import CheckpointError
from spanwise.models.batches import PromptBatch
from spanwise.models.cpu import (
    NOTHING_HIDDEN,
    Branches,
    Trunks,
    attends_in_branches,
    read_branches,
    reading,
    use_on_cpu,
    use_products_on_cpu,
)

ROOM = 64
"""Tokens for which there is room each time that the room grows."""
PACKING = ("flash", "flex")
"""Beginnings of the names of attention backends that read many rows one behind the other at no cost."""
ALIKE = {True: 1e-4, False: 3e-2}
"""How far states read in branches may be from others, as a share of the largest: in float32, and in half precision."""
SHARE_BELOW = 0.75
"""Responses to one prompt share its reading when that leaves less than this share of the tokens to be read."""


def growing_cache(config: PreTrainedConfig) -> DynamicCache:
    """An empty cache for a model; layers that see a window only stay as they are."""
    cache = DynamicCache(config=config)
    cache.layers = [_RoomyLayer() if type(layer) is DynamicLayer else layer for layer in cache.layers]
    if cache.layer_class_to_replicate is DynamicLayer:
        cache.layer_class_to_replicate = _RoomyLayer
    return cache


class Backbone(nn.Module):
    """The transformer of a causal or encoder-decoder language model, without its vocabulary head."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        use_on_cpu(model)
        use_products_on_cpu(model)
        self.is_encoder_decoder = bool(model.config.is_encoder_decoder)
        self.encoder = cast("nn.Module", model.get_encoder()) if self.is_encoder_decoder else None
        self.decoder = cast("nn.Module", model.get_decoder() if self.is_encoder_decoder else model.base_model)
        self.config = model.config
        self.hidden_size = int(model.config.hidden_size)
        parameters = inspect.signature(self.decoder.forward).parameters
        self._takes_positions = "position_ids" in parameters
        self._cache_name = _name_of_cache(model.config, parameters)
        self._recurrent = any(map(_is_recurrent, growing_cache(model.config).layers))
        self.packs = self._takes_positions and str(model.config._attn_implementation).startswith(PACKING)  # pyright: ignore[reportPrivateUsage] - transformers has no other name for it
        """Whether whole responses are read one behind the other in one row, without padding."""
        self.compiled = False
        """Whether whole responses are read by compiled code; reading token by token is left as it is."""
        self._code: tuple[int, Callable[..., Any]] | None = None
        self._branches: bool | None = None
        self.lockstep = False
        """Whether several processes read together and must make the same calls, whatever each of them reads."""

    def forward(
        self, prompts: PromptBatch, response_ids: Int[Tensor, "b t"], response_mask: Bool[Tensor, "b t"]
    ) -> Float[Tensor, "b t h"]:
        """The state before each response token, from which it is predicted; what follows a row's end is meaningless."""
        ends = _ends(response_mask)
        used = max(int(ends.max()) if ends.numel() else 0, int(self.lockstep))
        if used == 0:
            weight = next(self.parameters())
            return weight.new_zeros((*response_ids.shape, self.hidden_size))
        shared = _SharedPrompts.of(prompts)
        if self.is_encoder_decoder:
            states = self._read_after_encoding(shared, response_ids[:, :used])
        elif not self.lockstep and not self._recurrent and shared.saves(used):
            read = self._read_branches if self.branches else self._read_after_prompts
            states = read(shared, response_ids[:, :used], ends)
        elif self.packs:
            states = self._read_packed(prompts, response_ids[:, :used], ends)
        else:
            states = self._read_with_prompts(prompts, response_ids[:, :used], ends)
        return functional.pad(states, (0, 0, 0, response_ids.shape[1] - used))

    def start(self, prompts: PromptBatch) -> "Decoding":
        """Reads the prompts; the result predicts the first token of each response."""
        return Decoding(self, prompts)

    def encode(self, prompts: PromptBatch) -> Float[Tensor, "b l h"]:
        """The encoder's states of the prompts."""
        if self.encoder is None:
            raise TypeError("a causal model has no encoder")
        return self.encoder(input_ids=prompts.ids, attention_mask=prompts.mask).last_hidden_state

    def start_ids(self, rows: int) -> Int[Tensor, "b 1"]:
        """The token that every decoder input begins with."""
        device = next(self.parameters()).device
        return torch.full((rows, 1), self.config.decoder_start_token_id, device=device)

    def _read(self, **inputs: Tensor | bool) -> Any:
        if not self.compiled:
            return self.decoder(**inputs)
        if self._code is None or self._code[0] != id(self.decoder):  # a copy of this backbone needs code of its own
            self._code = id(self.decoder), torch.compile(self.decoder.forward, dynamic=True)
        return self._code[1](**inputs)

    def _read_with_prompts(
        self, prompts: PromptBatch, response_ids: Int[Tensor, "b t"], ends: Int[Tensor, " b"]
    ) -> Float[Tensor, "b t h"]:
        # Each row becomes prompt + response + padding without a gap, so that causality alone hides the padding: no
        # mask, default positions, the attention kernels' fast path, and no column that only padding would fill.
        lengths = prompts.lengths[:, None]
        width = int((lengths[:, 0] + ends).max()) - 1
        joined = torch.cat([prompts.ids, response_ids], 1)
        columns = torch.arange(width, device=joined.device) + (prompts.ids.shape[1] - lengths)
        states = self._read(
            input_ids=joined.gather(1, columns.clamp(max=joined.shape[1] - 1)), use_cache=False
        ).last_hidden_state
        places = torch.arange(response_ids.shape[1], device=joined.device) + (lengths - 1)
        places = places.clamp(max=width - 1)
        return states.gather(1, places[..., None].expand(-1, -1, states.shape[-1]))

    def _read_packed(
        self, prompts: PromptBatch, response_ids: Int[Tensor, "b t"], ends: Int[Tensor, " b"]
    ) -> Float[Tensor, "b t h"]:
        # Positions begin again with each row, by which transformers knows that it must not see those before it.
        joined, width = torch.cat([prompts.ids, response_ids], 1), prompts.ids.shape[1]
        positions = torch.arange(joined.shape[1], device=joined.device) - (width - prompts.lengths)[:, None]
        # The last response token is predicted and never read.
        read = (positions >= 0) & (positions < (prompts.lengths + ends)[:, None] - 1)
        states = self._read(
            input_ids=joined[read][None], position_ids=positions[read][None], use_cache=False
        ).last_hidden_state[0]
        places = (read.flatten().cumsum(0) - 1).view(read.shape).clamp(min=0)
        return states[places[:, width - 1 : width - 1 + response_ids.shape[1]]]

    @property
    def branches(self) -> bool:
        """Whether prompts and the responses to them are read in one row, each prompt once and without padding.

        Tried out on a few tokens the first time, because some architectures need more than causality and positions.
        """
        if self.compiled or self._recurrent or not attends_in_branches(cast("PreTrainedModel", self.decoder)):
            return False
        if self._branches is None:
            self._branches = self._reads_branches_alike()
        return self._branches

    @torch.no_grad()
    def _reads_branches_alike(self) -> bool:
        """Whether states read in branches are those of rows by themselves."""
        prompts = PromptBatch(torch.tensor([[0, 3, 4, 5], [6, 7, 8, 9]]).repeat_interleave(2, 0), torch.ones(4, 4) > 0)
        prompts.mask[:2, 0] = False
        ids, ends = torch.tensor([[3, 4, 5], [6, 7, 8], [9, 3, 6], [4, 7, 5]]), torch.tensor([3, 2, 3, 3])
        apart = self._read_with_prompts(prompts, ids, ends)
        try:
            together = self._read_branches(_SharedPrompts.of(prompts), ids, ends)
        except (NotImplementedError, RuntimeError, TypeError, ValueError, AttributeError, IndexError):
            return False
        read = torch.arange(3) < ends[:, None]
        error, largest = (apart - together)[read].abs().max(), apart[read].abs().max()
        return bool(error <= ALIKE[apart.dtype == torch.float32] * largest)

    def _read_branches(
        self, shared: "_SharedPrompts", response_ids: Int[Tensor, "b t"], ends: Int[Tensor, " b"]
    ) -> Float[Tensor, "b t h"]:
        # The last response token is predicted and never read.
        order, lengths = shared.owner.argsort(stable=True), (ends - 1).clamp(min=0)
        counts = shared.owner.bincount(minlength=len(shared.prompts)).tolist()
        read = torch.arange(response_ids.shape[1]) < lengths[order, None]
        branches = Branches(shared.prompts.lengths.tolist(), [part.tolist() for part in lengths[order].split(counts)])
        ids = torch.cat([shared.prompts.ids[shared.prompts.mask], response_ids[order][read]])
        states = read_branches(self.decoder, ids, branches)
        last = shared.prompts.lengths.cumsum(0)[shared.owner] - 1
        first = torch.empty_like(last)
        first[order] = branches.trunk + branches.lengths.cumsum(0) - branches.lengths
        places = first[:, None] + torch.arange(-1, response_ids.shape[1] - 1)
        places[:, 0] = last
        return states[places.clamp(max=len(states) - 1)]

    def _read_after_prompts(
        self, shared: "_SharedPrompts", response_ids: Int[Tensor, "b t"], _ends: Int[Tensor, " b"]
    ) -> Float[Tensor, "b t h"]:
        # Every prompt is read once; its responses go on from its cache, through which gradients flow back into it.
        decoding = self.start(shared.prompts)
        decoding.keep(shared.owner)
        first = decoding.hidden[:, None]
        return first if response_ids.shape[1] == 1 else torch.cat([first, decoding.read(response_ids[:, :-1])], 1)

    def _read_after_encoding(
        self, shared: "_SharedPrompts", response_ids: Int[Tensor, "b t"]
    ) -> Float[Tensor, "b t h"]:
        # The decoder reads nothing but responses, and causality hides what follows them.
        return self._read(
            input_ids=torch.cat([self.start_ids(len(response_ids)), response_ids[:, :-1]], 1),
            encoder_hidden_states=self.encode(shared.prompts)[shared.owner],
            encoder_attention_mask=shared.prompts.mask[shared.owner],
            use_cache=False,
        ).last_hidden_state

    def read_next(
        self, ids: Int[Tensor, "b n"], state: "Decoding", positions: Int[Tensor, "b n"] | None = None
    ) -> Float[Tensor, "b n h"]:
        """Reads n more tokens per row into the cache of `state`; returns their hidden states."""
        extra: dict[str, Tensor | None] = {}
        layout = contextlib.nullcontext() if state.trunks is None else reading(state.trunks)
        if self.is_encoder_decoder:
            extra = {"encoder_hidden_states": state.memory, "encoder_attention_mask": state.mask}
        else:
            # Models of states alone want a mask of what they read now, in which only prompts have padding.
            whole = self._cache_name == "past_key_values" or state.mask is None or state.mask.shape == ids.shape
            extra = {"attention_mask": state.mask if whole else None}
            if self._takes_positions:
                extra["position_ids"] = positions
        with layout:
            output = self.decoder(input_ids=ids, use_cache=True, **{self._cache_name: state.cache}, **extra)
        return output.last_hidden_state


class Decoding:
    """Responses under way, one per row: what was read of them, and the newest hidden state in `hidden`."""

    def __init__(self, backbone: Backbone, prompts: PromptBatch) -> None:
        self._backbone = backbone
        self.memory: Tensor | None = None
        self.trunks: Trunks | None = None
        """What the rows share where their prompts are not read again for each; the cache is then of responses alone."""
        self.mask: Tensor | None = None if bool(prompts.mask.all()) else prompts.mask
        self._positions: Tensor = prompts.lengths
        config = backbone.config
        if backbone.is_encoder_decoder:
            self.memory = backbone.encode(prompts)
            self.cache: DynamicCache | EncoderDecoderCache = EncoderDecoderCache(
                growing_cache(config), DynamicCache(config=config)
            )
            self.hidden: Tensor = backbone.read_next(backbone.start_ids(len(prompts)), self)[:, -1]
        else:
            self.cache = growing_cache(config)
            positions = (prompts.mask.cumsum(1) - 1).clamp(min=0)
            self.hidden = backbone.read_next(prompts.ids, self, positions)[:, -1]

    def step(self, tokens: Int[Tensor, " b"]) -> None:
        """Reads one more token per row; `hidden` then predicts the token after it."""
        self.read(tokens[:, None])

    def read(self, tokens: Int[Tensor, "b n"]) -> Float[Tensor, "b n h"]:
        """Reads n more tokens per row; returns the state after each, of which `hidden` is the last."""
        if self.trunks is not None:
            self.mask = NOTHING_HIDDEN
        elif self.mask is not None and not self._backbone.is_encoder_decoder:
            self.mask = torch.cat([self.mask, self.mask.new_ones(tokens.shape)], 1)
        places = self._positions[:, None] + torch.arange(tokens.shape[1], device=tokens.device)
        states = self._backbone.read_next(tokens, self, places)
        self.hidden, self._positions = states[:, -1], self._positions + tokens.shape[1]
        return states

    def repeat(self, times: int) -> None:
        """Every row `times` times in a row, so that several responses share the reading of their prompt."""
        if times > 1:
            if self._backbone.branches:
                layers = cast("list[DynamicLayer]", cast("DynamicCache", self.cache).layers)
                self.trunks = Trunks(
                    [(cast("Tensor", x.keys), cast("Tensor", x.values)) for x in layers], self.mask, times
                )
                self.cache, self.mask = growing_cache(self._backbone.config), None
            elif any(map(_is_recurrent, self._layers())):
                self._keep_in_cache(torch.arange(len(self.hidden), device=self.hidden.device).repeat_interleave(times))
            else:
                self.cache.batch_repeat_interleave(times)
            self._change_rows(lambda tensor: tensor.repeat_interleave(times, 0))

    def keep(self, rows: Int[Tensor, " n"]) -> None:
        """Drops all other rows."""
        if self.trunks is not None:
            self.trunks.keep(rows)
            self.mask = None
        self._keep_in_cache(rows)
        self._change_rows(lambda tensor: tensor[rows])

    def _layers(self) -> list[Any]:
        return [] if isinstance(self.cache, EncoderDecoderCache) else self.cache.layers

    def _keep_in_cache(self, rows: Int[Tensor, " n"]) -> None:
        if not any(map(_is_recurrent, self._layers())):
            self.cache.batch_select_indices(rows)
            return
        for layer in self._layers():  # those with states know this way only, which takes rows in any number
            layer.reorder_cache(rows)

    def _change_rows(self, change: Callable[[Tensor], Tensor]) -> None:
        self.hidden, self._positions = change(self.hidden), change(self._positions)
        self.mask = None if self.mask is None else change(self.mask)
        self.memory = None if self.memory is None else change(self.memory)


class _RoomyLayer(DynamicLayer):
    """Keys and values of one layer; both are views of a larger tensor once something was appended."""

    def __init__(self) -> None:
        super().__init__()
        self._rooms = _Room(), _Room()

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Appends; returns all keys and values."""
        keys, values = self.keys, self.values
        if torch.is_grad_enabled() or keys is None or values is None or keys.numel() == 0:
            return super().update(key_states, value_states, *args, **kwargs)
        self.keys = self._rooms[0].appended(keys, key_states)
        self.values = self._rooms[1].appended(values, value_states)
        return self.keys, self.values


class _Room:
    """A tensor (b, heads, n, d) of which the first tokens are in use."""

    def __init__(self) -> None:
        self._all: Tensor | None = None

    def appended(self, held: Tensor, new: Tensor) -> Tensor:
        """`held` and then `new`; `held` is copied only if it is not in this room or the room is full."""
        before, after = held.shape[-2], held.shape[-2] + new.shape[-2]
        room = self._all
        if room is None or room.data_ptr() != held.data_ptr() or len(room) != len(held) or after > room.shape[-2]:
            room = held.new_empty((*held.shape[:-2], after + ROOM, held.shape[-1]))
            room[..., :before, :] = held
            self._all = room
        room[..., before:after, :] = new
        return room[..., :after, :]


@dataclass(frozen=True)
class _SharedPrompts:
    """The different prompts of a batch, and which of them each row has."""

    prompts: PromptBatch
    owner: Int[Tensor, " b"]

    @classmethod
    def of(cls, prompts: PromptBatch) -> "_SharedPrompts":
        marked = prompts.ids.masked_fill(~prompts.mask, -1)
        different, owner = marked.unique(dim=0, return_inverse=True)
        return cls(PromptBatch(different.clamp(min=0), different >= 0), owner)

    def saves(self, response_width: int) -> bool:
        """Whether reading each prompt once spares enough to be worth a cache and an attention mask."""
        prompt_width, rows = self.prompts.ids.shape[1], len(self.owner)
        together = len(self.prompts) * prompt_width + rows * response_width
        return together < SHARE_BELOW * rows * (prompt_width + response_width)


def _is_recurrent(layer: Any) -> bool:
    """Whether a layer of a cache holds states that each token changes, instead of or beside keys and values."""
    return hasattr(layer, "recurrent_states")


def _name_of_cache(config: PreTrainedConfig, parameters: Mapping[str, Any]) -> str:
    """By which name the model takes what it has read; CheckpointError for one that would not be told at all."""
    for name in ("past_key_values", "cache_params"):
        if name in parameters:
            return name
    raise CheckpointError(
        f"A {config.model_type} model keeps what it has read in a way of its own, not in a cache of transformers; name "
        "a causal or encoder-decoder model with one."
    )


def _ends(mask: Bool[Tensor, "b t"]) -> Int[Tensor, " b"]:
    """One past the last token that counts in each row; tokens before it are read even where they do not count."""
    if mask.shape[1] == 0:
        return mask.new_zeros(mask.shape[0], dtype=torch.long)
    return (mask * torch.arange(1, mask.shape[1] + 1, device=mask.device)).amax(1)
