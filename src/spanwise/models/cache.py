"""Keys and values of what was read so far, in room that grows now and then instead of being copied at every token.

Only for reading without gradients: with gradients every token makes new tensors, as transformers does it. Knows nothing
of models.
"""

from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedConfig
from transformers.cache_utils import DynamicLayer

ROOM = 64
"""Tokens for which there is room each time that the room grows."""


def growing_cache(config: PreTrainedConfig) -> DynamicCache:
    """An empty cache for a model; layers that see a window only stay as they are."""
    cache = DynamicCache(config=config)
    cache.layers = [_RoomyLayer() if type(layer) is DynamicLayer else layer for layer in cache.layers]
    if cache.layer_class_to_replicate is DynamicLayer:
        cache.layer_class_to_replicate = _RoomyLayer
    return cache


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
