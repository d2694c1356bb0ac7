"""Damaged checkpoints: a folder is loaded, or refused in one sentence, and never a traceback."""

import json
import shutil
from collections import Counter
from functools import partial

import pytest
from doubles import models as doubles
from doubles.mutations import Mutator, attempt, told

from spanwise.core import SpanwiseError
from spanwise.models import Policy
from spanwise.reward_models.network import load_backbone, load_reward_model

pytestmark = pytest.mark.slow
INPUTS = 600
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"


def damaged(content: bytes, name: str, mutator: Mutator) -> bytes | None:
    """The content of a file after damage; None where it is gone. Sizes stay small, so that nothing fills memory."""
    kind = mutator.random.randrange(6)
    if kind == 0:
        return None
    if kind == 1:
        return POINTER
    if kind <= 3 and name.endswith(".json"):
        text = json.dumps(mutator.value(json.loads(content)))
        return text.replace(str(10**30), "7").replace(str(2**53), "7").replace("Infinity", "1").encode()
    return mutator.raw(content)


@pytest.mark.parametrize("build", [doubles.tiny_gpt2, doubles.tiny_llama, doubles.tiny_t5])
def test_damaged_folders(build, tmp_path, capsys):
    Policy(*build()).save(tmp_path / "whole")
    figures = Counter(inputs=0, loaded=0, refused=0)
    names = sorted(path.name for path in (tmp_path / "whole").iterdir())
    for seed in range(INPUTS // 3):
        mutator = Mutator(seed)
        folder = tmp_path / "damaged"
        shutil.copytree(tmp_path / "whole", folder)
        name = mutator.random.choice(names)
        content = damaged((folder / name).read_bytes(), name, mutator)
        (folder / name).unlink()
        if content is not None:
            (folder / name).write_bytes(content)
        load = mutator.random.choice((Policy.load, load_backbone, load_reward_model))
        figures["inputs"] += 1
        found = attempt(f"seed {seed}, {name} by {load.__qualname__}", partial(load, str(folder)))
        refused = isinstance(found, SpanwiseError)
        figures["refused" if refused else "loaded"] += 1
        assert not refused or "\n" not in str(found), (seed, name, found)
        shutil.rmtree(folder)
    with capsys.disabled():
        told(build.__name__, figures)
