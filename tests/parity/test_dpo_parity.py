"""Plain DPO and DPO with the edit's likelihood have the loss and the gradient of TRL's DPOTrainer on the same pairs.

TRL is no dependency: `pip install trl` brings it (passed with 1.12.0); without it the tests are skipped.
"""

import pytest
import torch
from doubles import models as doubles

from spanwise.feedback.edits import EditPair
from spanwise.feedback.formats.training.edit_exports import preferences_of
from spanwise.models import Policy
from spanwise.training.config import DPOConfig
from spanwise.training.dpo import PairObjective, pair_examples
from spanwise.training.loop import training_steps

PAIRS = [
    EditPair(
        prompt=f"where was {name} born?",
        original=f"{name} was born in Brack, and she worked as a mason.",
        edited=f"{name} was born in Oslo{more}.",
    )
    for name, more in (("Ada", ""), ("Ines Korr", ", and she worked as a mason"), ("the painter", " in 1912"))
]
BETA = 0.3
EDITED = "She was born in Oslo in 1912."


def moved(policy, generator_seed=3):
    """Changes the policy's weights a little, the same way every time."""
    generator = torch.Generator().manual_seed(generator_seed)
    with torch.no_grad():
        for parameter in policy.model.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    return policy


def ours(pairs, likelihood):
    policy = Policy(*doubles.tiny_llama())
    loss = {"beta": BETA, "penalty": 0.0, "likelihood": likelihood}
    config = DPOConfig(loss=loss, batch_size=3, learning_rate=1e-12, max_grad_norm=1e9)
    training = PairObjective(policy, pair_examples(policy, pairs, config)[0], config)
    moved(policy)
    _, metrics = next(training_steps(training))
    return metrics


def theirs(pairs, likelihood, folder):
    trl, datasets = pytest.importorskip("trl", reason="TRL is not installed"), pytest.importorskip("datasets")
    start, policy = Policy(*doubles.tiny_llama()), moved(Policy(*doubles.tiny_llama()))
    settings = trl.DPOConfig(
        output_dir=str(folder),
        beta=BETA,
        loss_type=["sigmoid", "sft"],
        loss_weights=[1.0, likelihood],
        per_device_train_batch_size=3,
        gradient_checkpointing=False,
        bf16=False,
        use_cpu=True,
        report_to=[],
        disable_tqdm=True,
    )
    rows = datasets.Dataset.from_list([record.model_dump() for record in preferences_of(pairs).records])
    trainer = trl.DPOTrainer(
        model=policy.model,
        ref_model=start.model,
        args=settings,
        train_dataset=rows,
        processing_class=policy.tokenizer,
    )
    (batch,) = list(trainer.get_train_dataloader())
    loss = trainer.compute_loss(trainer.model, batch)
    loss.backward()
    gradients = [parameter.grad.flatten() for parameter in trainer.model.parameters() if parameter.grad is not None]
    return float(loss.detach()), float(torch.cat(gradients).norm())


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # the peer's own warnings are not ours
@pytest.mark.parametrize("likelihood", [0.0, 0.5])
def test_loss_and_gradient_are_those_of_trl(likelihood, tmp_path):
    # Edits of one length: TRL averages the likelihood over all tokens of the batch, we over each edit.
    pairs = PAIRS if not likelihood else [pair.model_copy(update={"edited": EDITED}) for pair in PAIRS]
    loss, norm = theirs(pairs, likelihood, tmp_path)
    metrics = ours(pairs, likelihood)
    assert metrics["dpo/loss"] == pytest.approx(loss, rel=1e-4)
    assert metrics["dpo/grad_norm"] == pytest.approx(norm, rel=1e-3)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_the_likelihood_of_edits_of_several_lengths_is_averaged_over_tokens_there_and_over_edits_here(tmp_path):
    loss, _ = theirs(PAIRS, 0.5, tmp_path)
    preference = ours(PAIRS, 0.0)["dpo/loss"]
    policy = moved(Policy(*doubles.tiny_llama()))
    examples, _ = pair_examples(policy, PAIRS, DPOConfig())
    tokens = [len(example.edit.edited) for example in examples]
    config = DPOConfig(loss={"preference": 0.0, "likelihood": 1.0})
    each = [PairObjective(policy, [example], config).evaluate([0])["loss"] for example in examples]
    over_tokens = sum(count * one for count, one in zip(tokens, each, strict=True)) / sum(tokens)
    assert loss == pytest.approx(preference + 0.5 * over_tokens, rel=1e-4)
    assert ours(PAIRS, 0.5)["dpo/loss"] == pytest.approx(preference + 0.5 * sum(each) / len(each), rel=1e-4)
    assert abs(over_tokens - sum(each) / len(each)) > 1e-3, "the pairs tell the two apart"
