"""What the simulated world must be like for a study in it to prove anything: its packaged models, greedily.

What it does not reach yet is an expected failure with its figure, so that reaching it is told.
"""

import pytest
import torch

from spanwise.models import Policy, Sampling
from spanwise.quickstart import Answers, answer_items, score_answers
from spanwise.sim import base_checkpoint, judge, make_items, policy_checkpoint
from spanwise.text import TokenAligner

ITEMS = make_items(128, seed=0, split="acceptance", wording="held-out")
SAMPLING = Sampling(max_new_tokens=110)


def greedily(policy: Policy) -> Answers:
    return answer_items(policy, None, ITEMS, sampling=SAMPLING, seed=0, greedy=True)


def shares(answers: Answers) -> dict[str, float]:
    tables = score_answers(ITEMS, answers, seed=0)
    return {name: float(table.totals.sum() / table.counts.sum()) for name, table in tables.items()}


@pytest.fixture(scope="module")
def base() -> dict[str, float]:
    """What the oracle says of the base's greedy answers."""
    return shares(greedily(Policy.load(base_checkpoint())))


@pytest.fixture(scope="module")
def policy() -> Policy:
    """The SFT policy."""
    return Policy.load(policy_checkpoint())


@pytest.fixture(scope="module")
def answers(policy: Policy) -> Answers:
    """Its greedy answers."""
    return greedily(policy)


def test_the_base_says_what_was_asked_and_nothing_else(base: dict[str, float]) -> None:
    assert base["relevance_error"] < 0.01
    assert base["completeness"] > 0.99


@pytest.mark.xfail(reason="90.6 % so far: the others give a wrong value")
def test_the_base_answers_nearly_all_clauses_right(base: dict[str, float]) -> None:
    assert base["fact_error"] < 0.05


def test_the_sft_policy_errs_at_its_mode_in_facts_and_leaves_facts_out(answers: Answers) -> None:
    measured = shares(answers)
    assert measured["fact_error"] > 0.15
    assert measured["completeness"] < 0.75


@pytest.mark.xfail(reason="13 to 15 % so far")
def test_the_sft_policy_adds_at_its_mode_what_nobody_asked(answers: Answers) -> None:
    assert shares(answers)["relevance_error"] > 0.15


def test_decoding_greedily_mends_little(policy: Policy, answers: Answers) -> None:
    drawn = answer_items(policy, None, ITEMS, sampling=SAMPLING, seed=0)
    assert shares(drawn)["fact_error"] - shares(answers)["fact_error"] < 0.12


def test_likelihood_hardly_tells_right_from_wrong(policy: Policy) -> None:
    """AUROC of the mean log-probability of a greedy clause; .72 was measured, .70 is the aim, a seer would have 1."""
    likelihood, right = clauses_of(policy)
    above = (likelihood[right][:, None] > likelihood[~right][None, :]).double().mean().item()
    assert 0.5 < above < 0.8


@torch.no_grad()
def clauses_of(policy: Policy) -> tuple[torch.Tensor, torch.Tensor]:
    """Of every clause of the greedy answers: mean log-probability of its tokens, and whether it is right."""
    aligner, likelihoods, right = TokenAligner(policy.tokenizer), list[float](), list[bool]()
    prompts = policy.encode_prompts([item.record.model_input for item in ITEMS])
    batch = policy.greedy(prompts, SAMPLING.max_new_tokens)
    for item, ids, logprobs in zip(ITEMS, batch.token_lists(), batch.logprobs, strict=True):
        aligned = aligner.align(ids)
        for finding in judge(aligned.text, item.truth).findings:
            inside = [n for n, span in enumerate(aligned.spans) if span.overlap(finding.clause.span)]
            likelihoods.append(float(logprobs[inside].mean()))
            right.append(finding.label == "correct")
    return torch.tensor(likelihoods), torch.tensor(right)
