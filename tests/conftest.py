"""Fixtures that several layers share; `doubles.py` says what they are."""

import sys
from pathlib import Path

import pytest

# The import mode of this project puts no test folder on the path; `from doubles import ...` needs this one.
sys.path.insert(0, str(Path(__file__).parent))

import doubles


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
