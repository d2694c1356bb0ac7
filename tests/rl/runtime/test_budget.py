"""Micro-batches by tokens and by rows: nothing is left out, bounds hold, and running out of memory is survived once."""

import pytest
import torch
from doubles.rl_world import batch_of, gradients, small_trainer

from spanwise.core.errors import TrainingError
from spanwise.models.batches import PromptBatch
from spanwise.rl.algorithms.types import ModelInputs
from spanwise.rl.runtime.budget import Budget


def inputs_of(prompt_lengths, response_lengths):
    prompts, responses = (
        torch.arange(max(lengths)) < torch.tensor(lengths)[:, None] for lengths in (prompt_lengths, response_lengths)
    )
    return ModelInputs(PromptBatch(prompts.long(), prompts), responses.long(), responses)


@pytest.mark.parametrize(("rows", "tokens"), [(3, None), (3, 12), (100, 12), (100, 1), (1, 100)])
def test_parts_hold_every_row_once_within_the_bounds(rows, tokens):
    prompts, responses = [1, 4, 2, 6, 3, 9], [2, 3, 7, 1, 1, 9]
    parts = Budget(rows, tokens).parts(inputs_of(prompts, responses))
    assert sorted(row for part in parts for row in part.tolist()) == list(range(6))
    for part in parts:
        widest = max(prompts[row] + responses[row] for row in part.tolist())
        assert len(part) <= rows
        assert tokens is None or len(part) == 1 or len(part) * widest <= tokens


def test_every_split_gives_the_same_losses_and_gradients(tmp_path):
    trainer = small_trainer(tmp_path)
    trainer.step(1)
    batch = batch_of(trainer)
    found = {}
    for rows, tokens in ((100, None), (100, 24), (2, 30), (1, 1)):
        trainer.budget.rows, trainer.budget.tokens = rows, tokens
        found[rows, tokens] = gradients(trainer, batch)
    whole, metrics = found.pop((100, None))
    for gradient, measured in found.values():
        assert measured == pytest.approx(metrics, rel=1e-4, abs=1e-6)
        for name in whole:
            torch.testing.assert_close(gradient[name], whole[name], rtol=1e-4, atol=1e-6)


def failing(times, error):
    left = iter(range(times))

    def work():
        for _ in left:
            raise error
        return "done"

    return work


ERRORS = [
    torch.OutOfMemoryError("CUDA out of memory"),
    RuntimeError("DefaultCPUAllocator: not enough memory: you tried"),
]


@pytest.mark.parametrize("error", ERRORS)
def test_memory_that_runs_out_halves_the_budget_once_and_says_so(error):
    notes = []
    budget = Budget(9, 100, say=notes.append)
    assert budget.spend(failing(1, error)) == "done"
    assert (budget.rows, budget.tokens, budget.halved) == (4, 50, True)
    assert notes == ["memory ran out; from now on at most 4 responses and 50 tokens are read at a time."]
    with pytest.raises(TrainingError, match="half the token budget"):
        budget.spend(failing(1, error))


def test_other_errors_are_passed_on():
    budget = Budget(8)
    with pytest.raises(RuntimeError, match="shapes"):
        budget.spend(failing(1, RuntimeError("shapes do not match")))
    assert not budget.halved


def test_a_minibatch_that_ran_out_of_memory_is_read_again_from_its_start(tmp_path, monkeypatch):
    trainer = small_trainer(tmp_path, update={"micro_batch_size": 4})
    batch = batch_of(trainer)
    expected, metrics = gradients(trainer, batch)
    losses, calls = trainer.updater.losses, []

    def scarce(part, **options):
        calls.append(len(part))
        if len(calls) == 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        yield from losses(part, **options)

    monkeypatch.setattr(trainer.updater, "losses", scarce)
    found, measured = gradients(trainer, batch)
    assert calls == [4, 4, 2, 2, 2, 2]
    assert measured == pytest.approx(metrics, rel=1e-4, abs=1e-6)
    for name in expected:
        torch.testing.assert_close(found[name], expected[name], rtol=1e-4, atol=1e-6)


def test_a_gradient_that_is_no_number_stops_the_run_and_changes_nothing(tmp_path, monkeypatch):
    trainer = small_trainer(tmp_path)
    before = {n: p.detach().clone() for n, p in trainer.parts.policy.model.named_parameters()}
    whole = trainer.parts.algorithm.policy_loss

    def spoiled(logprobs, batch, *, tokens):
        return whole(logprobs * float("nan"), batch, tokens=tokens)

    monkeypatch.setattr(trainer.parts.algorithm, "policy_loss", spoiled)
    with pytest.raises(TrainingError, match="Step 1: the gradient of the policy is nan"):
        trainer.step(1)
    assert all(torch.equal(before[n], p) for n, p in trainer.parts.policy.model.named_parameters())


class ScarceMemory:
    """Has no room for more than `rows` responses at once."""

    def __init__(self, policy, rows):
        self.generate, self.rows, self.calls = policy.generate, rows, []

    def __call__(self, prompts, *, sampling, samples_per_prompt, generator):
        self.calls.append(len(prompts) * samples_per_prompt)
        drawn = self.generate(prompts, sampling=sampling, samples_per_prompt=samples_per_prompt, generator=generator)
        if self.calls[-1] > self.rows:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return drawn


class Notes:
    def __init__(self):
        self.notes = []

    def stepped(self, step, metrics):
        pass

    def evaluated(self, step, metrics):
        pass

    def noted(self, sentence):
        self.notes.append(sentence)


def test_sampling_that_ran_out_of_memory_goes_on_with_half_the_responses(tmp_path, monkeypatch):
    small = {"evaluation": {"max_prompts": 1}}
    taker = Notes()
    trainer = small_trainer(tmp_path / "scarce", progress=taker, **small)
    memory = ScarceMemory(trainer.parts.policy, rows=4)
    monkeypatch.setattr(trainer.parts.policy, "generate", memory)
    rollout = trainer.rollout(1)
    assert memory.calls == [8, 4, 4]
    assert taker.notes == ["memory ran out; from now on at most 4 responses are sampled at a time."]
    halved = small_trainer(tmp_path / "halved", **small)
    halved.sampling_budget.halve()
    expected = halved.rollout(1)
    assert torch.equal(rollout.responses.ids, expected.responses.ids)
    assert torch.equal(rollout.responses.logprobs, expected.responses.logprobs)
    assert [sample.prompt for sample in rollout.samples] == [sample.prompt for sample in expected.samples]
    memory.rows = 2
    with pytest.raises(TrainingError, match=r"lower rollout\.prompts_per_step"):
        trainer.rollout(2)


def test_a_run_that_sampled_less_at_a_time_goes_on_so(tmp_path):
    settings = {"steps": 2, "training_states": {"every": 1}}
    trainer = small_trainer(tmp_path, **settings)
    trainer.sampling_budget.halve()
    trainer.run()
    again = small_trainer(tmp_path, **settings)
    again.run(resume=True)
    assert again.sampling_budget.halved
    assert not again.budget.halved
