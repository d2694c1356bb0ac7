"""Policy, reference, value and reward model on one set of weights: what they hold, and that none disturbs another."""

import copy

import pytest
import torch
from doubles.rl_world import pipeline_of, small_trainer, word_policy
from transformers import LlamaConfig, LlamaForCausalLM

from spanwise.core.lora import LoraConfig
from spanwise.core.seeding import torch_generator
from spanwise.feedback.scores import Sample
from spanwise.models import Policy, Sampling
from spanwise.models.adapters import Adapters
from spanwise.reward_models.heads import HeadSpec
from spanwise.reward_models.network.adapted import AdaptedRewardModel
from spanwise.reward_models.network.checkpoint import load_reward_model, save_reward_model
from spanwise.reward_models.network.model import build_reward_model
from spanwise.rewards.learned import LearnedRewards, load_sources
from spanwise.rl.runtime.roles import make_roles

LORA = {"rank": 4, "alpha": 8.0}
HEADS = (HeadSpec("relevance", "sub-sentence", "segment"), HeadSpec("completeness", "sequence", "sequence"))
SAMPLES = [Sample("good sun ?", f"red {word} , blue {word} .") for word in ("fox", "owl", "sea")]


def reward_on(folder, policy, seed=0):
    """A reward model's checkpoint whose base is `policy`, with an adapter that was moved."""
    policy.save(folder / "base")
    body = copy.deepcopy(policy.model.model)
    fresh = build_reward_model(body, HEADS, window=64, generator=torch_generator(seed, "heads"))
    model = AdaptedRewardModel.on(fresh, str(folder / "base"), LoraConfig(**LORA), torch_generator(seed, "adapter"))
    with torch.no_grad():
        for name, parameter in model.role.parameters().items():
            parameter.normal_(generator=torch_generator(seed, name)).mul_(0.3)
    save_reward_model(folder / f"reward{seed}", model, policy.tokenizer)
    return folder / f"reward{seed}"


def shared(policy, *checkpoints):
    """Sources on the policy's own weights."""
    adapters = Adapters(policy.model)
    policy.role = adapters.role(None)
    return [source for path in checkpoints for source in load_sources(path, onto=adapters)]


def trainer_of(folder, reward, **settings):
    policy = word_policy()
    sources = shared(policy, reward)
    return small_trainer(folder, policy=policy, pipeline=pipeline_of(*sources), lora=LORA, **settings)


def said(sources):
    return [source.score(SAMPLES) for source in sources]


def logprobs(policy):
    ids = torch.randint(4, 16, (2, 5), generator=torch_generator(0, "ids"))
    prompts = policy.encode_prompts(["good sun", "red"])
    with torch.no_grad():
        return policy.logprobs(prompts, ids, torch.ones_like(ids, dtype=torch.bool), sampling=Sampling()).logprobs


def own_storages(model):
    """Where the weights lie that are no adapter's and no head's."""
    return {
        name.replace(".base_layer", "").removeprefix("model.").removeprefix("backbone.").removeprefix("decoder."): (
            parameter.data_ptr()
        )
        for name, parameter in model.named_parameters()
        if ".lora_" not in name and not name.startswith(("heads.", "head.", "lm_head."))
    }


def test_the_four_roles_read_the_same_weights_in_memory(tmp_path):
    checkpoint = reward_on(tmp_path, word_policy())
    trainer = trainer_of(tmp_path / "run", checkpoint)
    reward = trainer.parts.pipeline.sources[0].model
    policy = own_storages(trainer.parts.policy.model)
    assert own_storages(trainer.reference.model) == policy
    assert own_storages(trainer.value_model) == policy
    assert own_storages(reward) == policy
    assert len(policy) == 11
    alone, _ = load_reward_model(checkpoint)
    assert not set(own_storages(alone).values()) & set(policy.values())


def test_four_roles_hold_at_most_1_3_times_the_weights_of_one_model(tmp_path):
    config = LlamaConfig(
        vocab_size=16, hidden_size=256, intermediate_size=512, num_hidden_layers=2, num_attention_heads=4,
        max_position_embeddings=64, pad_token_id=0, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    policy = Policy(LlamaForCausalLM(config), word_policy().tokenizer)
    weights = sum(p.numel() * p.element_size() for p in policy.model.parameters())
    sources = shared(policy, reward_on(tmp_path, policy))
    trainer = small_trainer(tmp_path / "run", policy=policy, pipeline=pipeline_of(*sources), lora=LORA)
    trainer.step(1)
    models = (policy.model, trainer.reference.model, trainer.value_model, sources[0].model)
    tensors = [parameter for model in models for parameter in model.parameters()]
    tensors += [parameter.grad for parameter in tensors if parameter.grad is not None]
    tensors += trainer.updater.tensors().values()
    held = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors}
    assert weights < sum(held.values()) < 1.3 * weights


def test_scores_on_shared_weights_are_those_of_the_model_alone_before_and_after_training(tmp_path):
    first, second = (reward_on(tmp_path, word_policy(), seed) for seed in (0, 1))
    alone = [said(load_sources(path)) for path in (first, second)]
    assert alone[0] != alone[1]
    policy = word_policy()
    sources = shared(policy, first, second)
    assert [said(sources[:2]), said(sources[2:])] == alone
    assert [source.version for source in sources[:2]] == [source.version for source in load_sources(first)]
    trainer = small_trainer(tmp_path / "run", policy=policy, pipeline=pipeline_of(*sources[:2]), lora=LORA)
    before = logprobs(policy)
    trainer.run()
    assert not torch.equal(logprobs(policy), before)
    assert [said(sources[:2]), said(sources[2:])] == alone


def test_in_bfloat16_the_shared_model_is_the_one_alone_in_bfloat16(tmp_path):
    checkpoint = reward_on(tmp_path, word_policy())
    policy = Policy.load(tmp_path / "base", dtype=torch.bfloat16)
    sources = shared(policy, checkpoint)
    assert sources[0].model.shares
    alone = AdaptedRewardModel.from_pretrained(checkpoint, dtype=torch.bfloat16)
    assert said(sources) == said(LearnedRewards(alone, policy.tokenizer).sources()) != said(load_sources(checkpoint))
    assert sources[0].model.packs


def test_another_base_is_not_shared(tmp_path):
    checkpoint = reward_on(tmp_path, word_policy())
    sources = shared(word_policy(seed=1), checkpoint)
    assert not sources[0].model.shares
    assert said(sources) == said(load_sources(checkpoint))


def test_scoring_leaves_the_policy_as_it_was_also_when_it_raises(tmp_path):
    policy = word_policy()
    sources = shared(policy, reward_on(tmp_path, word_policy()))
    roles = make_roles(policy, small_trainer(tmp_path / "x", lora=LORA).config, learns_values=True)
    with torch.no_grad():
        for name, parameter in policy.trained_parameters().items():
            parameter.normal_(generator=torch_generator(2, name)).mul_(0.3)
    before = logprobs(policy), logprobs(roles.reference)
    assert not torch.equal(*before)
    said(sources)
    assert torch.equal(logprobs(policy), before[0])
    assert torch.equal(logprobs(roles.reference), before[1])
    hook = policy.backbone.decoder.register_forward_hook(lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        sources[0].score([Sample("red ?", "not seen before .")])
    hook.remove()
    assert torch.equal(logprobs(policy), before[0])
    assert torch.equal(logprobs(roles.reference), before[1])


def test_training_the_policy_never_touches_a_reward_adapter(tmp_path):
    trainer = trainer_of(tmp_path / "run", reward_on(tmp_path, word_policy()), steps=1)
    model = trainer.parts.policy.model
    reward = {name: p for name, p in model.named_parameters() if ".reward0." in name}
    before = {name: p.detach().clone() for name, p in reward.items()}
    gathered = []
    backward = torch.Tensor.backward

    def watched(*args, **options):
        backward(*args, **options)
        gathered.append({name for name, p in model.named_parameters() if p.grad is not None})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.Tensor, "backward", watched)
        trainer.run()
    touched = set().union(*gathered)
    assert touched
    assert all(".policy." in name or ".value." in name for name in touched)
    assert len(before) == 14
    assert all(torch.equal(before[name], p) for name, p in reward.items())
    assert not any(p.requires_grad for p in reward.values())
    assert not any("reward0" in name for name in trainer.updater.tensors())


def test_a_run_on_shared_weights_equals_one_whose_reward_model_stands_alone_and_resumes_to_the_same_weights(tmp_path):
    checkpoint = reward_on(tmp_path, word_policy())
    options = {"steps": 3, "training_states": {"every": 1}}
    whole = trainer_of(tmp_path / "whole", checkpoint, **options)
    whole.run()
    apart = small_trainer(tmp_path / "apart", pipeline=pipeline_of(*load_sources(checkpoint)), lora=LORA, **options)
    apart.run()
    broken = trainer_of(tmp_path / "broken", checkpoint, **options)
    step = broken.step
    broken.step = lambda number: step(number) if number < 3 else 1 / 0
    with pytest.raises(ZeroDivisionError):
        broken.run()
    again = trainer_of(tmp_path / "broken", checkpoint, **options)
    again.run(resume=True)
    expected = whole.updater.tensors()
    for found in (apart.updater.tensors(), again.updater.tensors()):
        assert expected.keys() == found.keys()
        assert all(torch.equal(expected[name], found[name]) for name in expected)
    last = Policy.load(tmp_path / "broken" / "checkpoints" / "last")
    assert last.model.config.use_cache
    assert not [name for name, _ in last.model.named_parameters() if "lora" in name]
