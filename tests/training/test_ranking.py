"""RRHF by hand, and that it makes better answers likelier."""

import pytest
import torch
from doubles.rl_world import word_policy

from spanwise.core import DataError, RunFolder
from spanwise.feedback import Sample
from spanwise.models import Policy, Sampling
from spanwise.training import RankedAnswers, RankingConfig, ranking_loss, train_ranking


def test_the_loss_by_hand():
    logprobs = torch.tensor([-1.0, -2.0, -0.5], requires_grad=True)
    hinge, likelihood = ranking_loss(logprobs, torch.tensor([0.0, 2.0, 1.0]))
    # worse than the second: the first by 1, the third by 1.5; the first is worse than the third, and less likely
    assert hinge.item() == pytest.approx(2.5)
    assert likelihood.item() == pytest.approx(2.0)
    (hinge + likelihood).backward()
    assert logprobs.grad.tolist() == [1.0, -3.0, 1.0]


def test_equal_rewards_are_no_pair():
    assert ranking_loss(torch.tensor([-1.0, -2.0]), torch.tensor([1.0, 1.0]))[0].item() == 0.0


def ranked(policy, texts, rewards):
    prompt = "what"
    return RankedAnswers([Sample(prompt, text) for text in texts], rewards)


def test_better_answers_become_likelier(tmp_path):
    policy = word_policy()
    words = [word for word in policy.tokenizer.get_vocab() if word.isalpha()][:6]
    texts, rewards = [" ".join(words[k : k + 3]) for k in range(4)], [0.0, 3.0, None, 1.0]
    answers = [ranked(policy, texts, rewards)] * 4
    config = RankingConfig(epochs=20, batch_size=2, learning_rate=1e-2)

    def likelihoods(policy):
        values = []
        for text in texts:
            ids = torch.tensor([policy.encode_response(text)])
            prompts = policy.stack_prompts([policy.encode_prompt(Sample("what", ""))])
            mask = torch.ones_like(ids, dtype=torch.bool)
            values.append(float(policy.logprobs(prompts, ids, mask, sampling=Sampling()).logprobs.mean().detach()))
        return values

    before = likelihoods(policy)
    checkpoint = train_ranking(policy, answers, answers[:1], config=config, run=RunFolder(tmp_path))
    after = likelihoods(Policy.load(checkpoint))
    assert after[1] > before[1]
    assert after[1] > after[3] > after[0]


def test_without_two_rewards_there_is_nothing_to_rank(tmp_path):
    policy = word_policy()
    with pytest.raises(DataError, match="No training prompt has two answers of different reward"):
        train_ranking(
            policy, [ranked(policy, ["a", "b"], [1.0, None])], [], config=RankingConfig(), run=RunFolder(tmp_path)
        )
