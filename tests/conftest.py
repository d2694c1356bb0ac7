"""Fixtures that several layers share; `doubles.py` says what they are."""

import sys
from pathlib import Path

import pytest
from jaxtyping import install_import_hook

# Tensor shapes and types are checked at run time in tests only. (jaxtyping's own pytest option splits its value
# wrongly as soon as the checker has arguments, hence the hook.)
install_import_hook(
    [
        "spanwise.models",
        "spanwise.preference_tuning",
        "spanwise.reward_models",
        "spanwise.rewards",
        "spanwise.rl",
        "spanwise.sft",
    ],
    "beartype.beartype(conf=__import__('beartype').BeartypeConf(is_pep484_tower=True))",
)

# The import mode of this project puts no test folder on the path; `from doubles import ...` needs this one.
sys.path.insert(0, str(Path(__file__).parent))

import doubles  # noqa: E402 - found only through the line above


@pytest.fixture
def tiny_llama():
    """(model, tokenizer) of a fresh tiny Llama."""
    return doubles.tiny_llama()


@pytest.fixture
def tiny_t5():
    """(model, tokenizer) of a fresh tiny T5."""
    return doubles.tiny_t5()


@pytest.fixture
def tiny_gpt2():
    """(model, tokenizer) of a fresh tiny GPT-2."""
    return doubles.tiny_gpt2()
