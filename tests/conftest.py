"""Fixtures that several layers share (`doubles/models.py` says what they are), and how property tests draw examples."""

import os
import sys
from pathlib import Path

import pytest
from hypothesis import settings
from jaxtyping import install_import_hook

# Tensor shapes and types are checked at run time in tests only. (jaxtyping's own pytest option splits its value
# wrongly as soon as the checker has arguments, hence the hook.)
install_import_hook(
    [
        "spanwise.models",
        "spanwise.reward_models",
        "spanwise.rewards",
        "spanwise.rl",
        "spanwise.training.sft",
    ],
    "beartype.beartype(conf=__import__('beartype').BeartypeConf(is_pep484_tower=True))",
)

# The same examples in every run of all tests of one state of the code (a run of single files may draw others, as
# Hypothesis also takes constants from the modules that are loaded). `make test-all` explores; what it finds is printed
# and belongs into the test as an `@example`. No deadline: how fast a shared machine is says nothing of the code.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.register_profile("exploring", print_blob=True, deadline=None)
settings.load_profile(os.environ.get("SPANWISE_TEST_EXAMPLES", "repeatable"))

# The import mode of this project puts no test folder on the path; `from doubles import ...` needs this one.
sys.path.insert(0, str(Path(__file__).parent))

from doubles import models as doubles  # noqa: E402 - found only through the line above


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
