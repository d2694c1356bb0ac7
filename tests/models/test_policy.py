import pytest
import torch
from doubles import models as doubles
from transformers import (
    AutoModelForCausalLM,
    CohereConfig,
    Gemma2Config,
    GraniteConfig,
    MistralConfig,
    MistralForCausalLM,
)

from spanwise.core.errors import CheckpointError, DataError
from spanwise.core.seeding import torch_generator
from spanwise.models import Policy, PromptBatch, Sampling
from spanwise.models import sampling as sampling_module
from spanwise.models.batches import pad
from spanwise.models.logprobs import VocabularyHead

TEXTS = ["question: who? answer:", "Ada Veld was born in Oslo in 1912, and she", "Oslo"]


def sliding_window_mistral():
    """Attention that forgets, and fewer key heads than query heads."""
    _, tokenizer = doubles.tiny_llama()
    config = MistralConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, sliding_window=8, initializer_range=0.3, eos_token_id=1, pad_token_id=2, bos_token_id=0,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return MistralForCausalLM(config), tokenizer


FAMILIES = {
    "llama": doubles.tiny_llama,
    "llama_tied": lambda: doubles.tiny_llama(tied=True),
    "gpt2": doubles.tiny_gpt2,
    "mistral": sliding_window_mistral,
    "t5": doubles.tiny_t5,
    "t5_untied": lambda: doubles.tiny_t5(tied=False),
}
CLOSE = {"atol": 5e-5, "rtol": 1e-5}


@pytest.fixture(params=FAMILIES, name="policy")
def policy_of_each_family(request):
    return Policy(*FAMILIES[request.param]())


def some_responses(policy, lengths=(5, 3, 1)):
    generator = torch_generator(0, "responses")
    rows = [torch.randint(len(policy.tokenizer), (length,), generator=generator).tolist() for length in lengths]
    return pad(rows, value=policy.pad_id, side="right")


def logprobs_from_huggingface(policy, text, response, temperature=1.0):
    """One response at a time through the whole model, without padding, batching or our head."""
    prompt = torch.tensor([policy.encode_prompt(text)])
    if policy.is_encoder_decoder:
        start = torch.tensor([[policy.model.config.decoder_start_token_id]])
        logits = policy.model(input_ids=prompt, decoder_input_ids=torch.cat([start, response[None, :-1]], 1)).logits
    else:
        logits = policy.model(input_ids=torch.cat([prompt, response[None]], 1)).logits[:, prompt.shape[1] - 1 : -1]
    return (logits[0] / temperature).log_softmax(1)


@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_logprobs_and_entropy_are_those_of_the_whole_model(policy, temperature):
    ids, mask = some_responses(policy)
    with torch.no_grad():
        found = policy.logprobs(
            policy.encode_prompts(TEXTS), ids, mask, sampling=Sampling(temperature=temperature), entropy=True
        )
        for row, text in enumerate(TEXTS):
            response = ids[row][mask[row]]
            expected = logprobs_from_huggingface(policy, text, response, temperature)
            torch.testing.assert_close(
                found.logprobs[row][mask[row]], expected.gather(1, response[:, None])[:, 0], **CLOSE
            )
            entropy = -(expected.exp() * expected).sum(1)
            torch.testing.assert_close(found.entropy[row][mask[row]], entropy, **CLOSE)
    assert (found.logprobs[~mask] == 0).all()
    assert (found.entropy[~mask] == 0).all()


@pytest.mark.parametrize("top_k", [0, 4])
def test_sampled_logprobs_are_the_teacher_forced_ones(policy, top_k):
    sampling = Sampling(temperature=0.7, top_k=top_k, max_new_tokens=12)
    prompts = policy.encode_prompts(TEXTS)
    sampled = policy.generate(prompts, sampling=sampling, samples_per_prompt=4, generator=torch_generator(1, "rollout"))
    scored = policy.logprobs(prompts.repeat(4), sampled.ids, sampled.mask, sampling=sampling, support=sampled.support)
    torch.testing.assert_close(scored.logprobs.detach(), sampled.logprobs, **CLOSE)
    assert (sampled.support is None) == (top_k == 0)


def test_gradients_are_those_of_the_whole_model(policy):
    prompts = policy.encode_prompts(TEXTS[:1])
    ids, mask = some_responses(policy, lengths=(5,))
    policy.logprobs(prompts, ids, mask, sampling=Sampling()).logprobs.sum().backward()
    ours = {name: p.grad.clone() for name, p in policy.model.named_parameters() if p.grad is not None}
    policy.model.zero_grad()
    logprobs_from_huggingface(policy, TEXTS[0], ids[0]).gather(1, ids[0][:, None]).sum().backward()
    assert ours.keys() == {name for name, p in policy.model.named_parameters() if p.grad is not None}
    for name, parameter in policy.model.named_parameters():
        if name in ours:
            torch.testing.assert_close(ours[name], parameter.grad, atol=2e-4, rtol=1e-4)


def with_rows_beyond_the_tokenizer(policy, rows=9):
    """The same model with embeddings of ids that no token has, which it would sample more often than any other."""
    model, known = policy.model, len(policy.tokenizer)
    with torch.random.fork_rng(devices=[]):
        model.resize_token_embeddings(known + rows, mean_resizing=False)
    with torch.no_grad():
        weight = model.get_output_embeddings().weight
        weight[known:] = 20 * weight[:rows]
    return Policy(model, policy.tokenizer)


@pytest.mark.parametrize("top_k", [0, 4])
@pytest.mark.parametrize("family", FAMILIES)
def test_ids_that_the_tokenizer_does_not_have_are_neither_sampled_nor_scored(family, top_k):
    sampling = Sampling(top_k=top_k, max_new_tokens=12)
    found = []
    for policy in (Policy(*FAMILIES[family]()), with_rows_beyond_the_tokenizer(Policy(*FAMILIES[family]()))):
        prompts = policy.encode_prompts(TEXTS)
        sampled = policy.generate(prompts, sampling=sampling, samples_per_prompt=4, generator=torch_generator(1, "x"))
        again = prompts.repeat(4)
        scored = policy.logprobs(
            again, sampled.ids, sampled.mask, sampling=sampling, support=sampled.support, entropy=True
        )
        torch.testing.assert_close(scored.logprobs.detach(), sampled.logprobs, **CLOSE)
        (scored.logprobs.sum() + scored.entropy.sum()).backward()
        gradient = policy.model.get_output_embeddings().weight.grad
        found.append((sampled, scored, policy.greedy(prompts, 8).token_lists(), gradient))
    (plain, plain_scored, plain_greedy, plain_gradient), (wide, wide_scored, wide_greedy, wide_gradient) = found
    assert wide.token_lists() == plain.token_lists()
    torch.testing.assert_close(wide.logprobs, plain.logprobs, **CLOSE)
    torch.testing.assert_close(wide_scored.logprobs, plain_scored.logprobs, **CLOSE)
    torch.testing.assert_close(wide_scored.entropy, plain_scored.entropy, **CLOSE)
    assert wide_greedy == plain_greedy
    known = len(plain_gradient)
    torch.testing.assert_close(wide_gradient[:known], plain_gradient, atol=2e-4, rtol=1e-4)
    assert (wide_gradient[known:] == 0).all()


def test_without_such_ids_the_head_is_the_models_own():
    linear = torch.nn.Linear(3, 5)
    assert VocabularyHead(linear, 5).weight is linear.weight
    assert VocabularyHead(linear, 5).bias is linear.bias
    part = VocabularyHead(linear, 4)
    assert torch.equal(part.weight, linear.weight[:4])
    assert torch.equal(part.bias, linear.bias[:4])


def test_more_padding_changes_nothing(policy):
    ids, mask = some_responses(policy)
    prompts = policy.encode_prompts(TEXTS)
    side = "right" if policy.is_encoder_decoder else "left"
    rows = [policy.encode_prompt(text) for text in TEXTS]
    wide_ids, wide_mask = (tensor[:3] for tensor in pad([*rows, [0] * 40], value=7, side=side))
    more = torch.full((3, 6), 5)
    with torch.no_grad():
        narrow = policy.logprobs(prompts, ids, mask, sampling=Sampling()).logprobs
        wide = policy.logprobs(
            PromptBatch(wide_ids, wide_mask),
            torch.cat([ids, more], 1),
            torch.cat([mask, torch.zeros_like(more, dtype=torch.bool)], 1),
            sampling=Sampling(),
        ).logprobs
    torch.testing.assert_close(wide[:, : ids.shape[1]], narrow, **CLOSE)
    assert (wide[:, ids.shape[1] :] == 0).all()
    narrow_greedy = policy.greedy(prompts, 8)
    wide_greedy = policy.greedy(PromptBatch(wide_ids, wide_mask), 8)
    assert wide_greedy.token_lists() == narrow_greedy.token_lists()
    torch.testing.assert_close(wide_greedy.logprobs, narrow_greedy.logprobs, **CLOSE)


def test_tokens_that_do_not_count_are_still_read():
    policy = Policy(*doubles.tiny_llama())
    prompts = policy.encode_prompts(TEXTS[:1])
    ids, mask = some_responses(policy, lengths=(5,))
    with torch.no_grad():
        whole = policy.logprobs(prompts, ids, mask, sampling=Sampling()).logprobs
        mask[0, 2] = False
        holed = policy.logprobs(prompts, ids, mask, sampling=Sampling()).logprobs
    torch.testing.assert_close(holed, whole.masked_fill(~mask, 0.0))


def test_a_row_without_response_tokens_changes_no_other_row(policy):
    ids, mask = some_responses(policy)
    prompts = policy.encode_prompts(TEXTS)
    with torch.no_grad():
        whole = policy.logprobs(prompts, ids, mask, sampling=Sampling()).logprobs
        mask[0] = False
        without = policy.logprobs(prompts, ids, mask, sampling=Sampling()).logprobs
        mask[:] = False
        nothing = policy.logprobs(prompts, ids, mask, sampling=Sampling()).logprobs
    torch.testing.assert_close(without[1:], whole[1:], **CLOSE)
    assert (without[0] == 0).all()
    assert (nothing == 0).all()


def test_greedy_answers_are_those_of_transformers(policy):
    for text in TEXTS:
        prompts = policy.encode_prompts([text])
        ours = policy.greedy(prompts, 10)
        theirs = policy.model.generate(
            prompts.ids,
            attention_mask=prompts.mask.long(),
            max_new_tokens=10,
            do_sample=False,
            pad_token_id=policy.pad_id,
        )
        expected = theirs[0, 1 if policy.is_encoder_decoder else prompts.ids.shape[1] :].tolist()
        assert ours.token_lists() == [expected]


def test_the_least_length_is_that_of_transformers(policy):
    policy = with_likely_end(policy, 50.0)
    prompts = policy.encode_prompts(TEXTS[:1])
    ours = policy.greedy(prompts, 10, 6)
    theirs = policy.model.generate(
        prompts.ids,
        attention_mask=prompts.mask.long(),
        max_new_tokens=10,
        min_new_tokens=6,
        do_sample=False,
        pad_token_id=policy.pad_id,
    )
    expected = theirs[0, 1 if policy.is_encoder_decoder else prompts.ids.shape[1] :].tolist()
    assert ours.token_lists() == [expected]
    assert [len(policy.greedy(prompts, 10).token_lists()[0]), len(expected)] == [1, 7]


@pytest.mark.parametrize("top_k", [0, 4])
def test_samples_of_a_least_length_have_the_log_probabilities_that_they_were_drawn_with(policy, top_k):
    policy = with_likely_end(policy, 50.0)
    sampling = Sampling(max_new_tokens=12, min_new_tokens=5, top_k=top_k)
    prompts = policy.encode_prompts(TEXTS)
    drawn = policy.generate(
        prompts, sampling=sampling, samples_per_prompt=4, generator=torch.Generator().manual_seed(1)
    )
    assert drawn.lengths.unique().tolist() == [6]
    with torch.no_grad():
        again = policy.logprobs(
            prompts.repeat(4), drawn.ids, drawn.mask, sampling=sampling, support=drawn.support, entropy=True
        )
    torch.testing.assert_close(again.logprobs, drawn.logprobs, **CLOSE)
    assert again.entropy.isfinite().all()


def test_batched_greedy_answers_are_the_single_ones(policy, monkeypatch):
    single = [policy.greedy(policy.encode_prompts([text]), 10).token_lists()[0] for text in TEXTS]
    for share in (0.0, 1.1):  # never drop finished rows; drop them at once
        monkeypatch.setattr(sampling_module, "SHRINK_BELOW", share)
        assert policy.greedy(policy.encode_prompts(TEXTS), 10).token_lists() == single


def with_likely_end(policy, by=3.0):
    """Makes the end token likely at every step, so that responses end at many lengths."""
    ends = policy.tokenizer.eos_token_id
    head = policy.model.get_output_embeddings()
    head.bias = torch.nn.Parameter(torch.zeros(head.out_features))
    with torch.no_grad():
        head.bias[ends] = by
    return Policy(policy.model, policy.tokenizer)


@pytest.mark.parametrize("share", [0.0, 0.8, 1.1])
def test_responses_that_end_leave_the_batch_and_keep_their_numbers(share, monkeypatch):
    monkeypatch.setattr(sampling_module, "SHRINK_BELOW", share)
    policy = with_likely_end(Policy(*doubles.tiny_llama()))
    sampling = Sampling(max_new_tokens=15)
    prompts = policy.encode_prompts(TEXTS)
    sampled = policy.generate(
        prompts, sampling=sampling, samples_per_prompt=10, generator=torch_generator(5, "rollout")
    )
    scored = policy.logprobs(prompts.repeat(10), sampled.ids, sampled.mask, sampling=sampling).logprobs.detach()
    torch.testing.assert_close(scored, sampled.logprobs, **CLOSE)
    lengths = sampled.lengths.tolist()
    assert len(set(lengths)) > 5
    for ids, truncated in zip(sampled.token_lists(), sampled.truncated.tolist(), strict=True):
        assert policy.eos_id not in ids[:-1]
        assert truncated == (ids[-1] != policy.eos_id)
        assert not truncated or len(ids) == 15
    assert (sampled.ids[~sampled.mask] == policy.pad_id).all()
    assert sampled.ids.shape[1] == max(lengths)


def test_every_end_of_a_chat_model_ends_a_response():
    model, tokenizer = doubles.tiny_llama()
    model.generation_config.eos_token_id = [1, 50]
    model.get_output_embeddings().weight.data.zero_()
    model.get_output_embeddings().bias = torch.nn.Parameter(torch.zeros(len(tokenizer)))
    with torch.no_grad():
        model.get_output_embeddings().bias[50] = 9.0
    answer = Policy(model, tokenizer).greedy(Policy(model, tokenizer).encode_prompts(["Oslo"]), 5)
    assert answer.token_lists() == [[50]]
    assert answer.truncated.tolist() == [False]


def test_sampling_follows_its_generator_alone(policy):
    prompts = policy.encode_prompts(TEXTS)
    state = torch.get_rng_state()

    def ids(seed):
        return policy.generate(
            prompts,
            sampling=Sampling(max_new_tokens=6),
            samples_per_prompt=2,
            generator=torch_generator(seed, "rollout"),
        ).token_lists()

    assert ids(1) == ids(1)
    assert ids(1) != ids(2)
    assert torch.equal(torch.get_rng_state(), state)


def test_samples_of_one_prompt_stand_together():
    policy = Policy(*doubles.tiny_llama())
    cold = Sampling(temperature=1e-4, max_new_tokens=5)
    prompts = policy.encode_prompts(TEXTS)
    sampled = policy.generate(prompts, sampling=cold, samples_per_prompt=2, generator=torch_generator(0, "rollout"))
    greedy = policy.greedy(prompts, 5).token_lists()
    assert sampled.token_lists() == [row for row in greedy for _ in range(2)]


@pytest.mark.parametrize("family", ["gpt2", "t5"])
def test_dropout_is_off_so_that_the_ratio_is_one(family):
    model, tokenizer = FAMILIES[family]()
    policy = Policy(model.train(), tokenizer)
    prompts = policy.encode_prompts(TEXTS)
    sampling = Sampling(max_new_tokens=6)
    sampled = policy.generate(prompts, sampling=sampling, generator=torch_generator(0, "rollout"))
    first, second = (
        policy.logprobs(prompts, sampled.ids, sampled.mask, sampling=sampling).logprobs.detach() for _ in range(2)
    )
    assert torch.equal(first, second)
    torch.testing.assert_close((first - sampled.logprobs).exp(), torch.ones_like(first), **CLOSE)


def test_top_k_without_support_and_support_without_top_k_are_refused():
    policy = Policy(*doubles.tiny_llama())
    prompts = policy.encode_prompts(TEXTS)
    ids, mask = some_responses(policy)
    with pytest.raises(ValueError, match="support"):
        policy.logprobs(prompts, ids, mask, sampling=Sampling(top_k=4))
    with pytest.raises(ValueError, match="support"):
        policy.logprobs(prompts, ids, mask, sampling=Sampling(), support=ids[..., None].expand(-1, -1, 4))


def test_response_ids_continue_a_causal_prompt_as_running_text():
    policy = Policy(*doubles.tiny_llama())
    ids = policy.encode_response("Ada Veld was born in Oslo.")
    assert policy.tokenizer.decode(policy.encode_prompt("answer:") + ids) == "<s>answer: Ada Veld was born in Oslo.</s>"
    assert policy.decode(ids) == "Ada Veld was born in Oslo."


def test_response_ids_of_an_encoder_decoder_policy_are_the_tokenizers_own():
    policy = Policy(*doubles.tiny_t5())
    assert policy.encode_response("Ada Veld.") == policy.tokenizer("Ada Veld.").input_ids
    assert policy.decode(policy.encode_response("Ada Veld.")) == "Ada Veld."


def test_causal_responses_get_no_second_space_where_the_tokenizer_writes_one():
    model, _ = doubles.tiny_llama()
    policy = Policy(model, doubles.tiny_t5()[1])
    assert policy.encode_response("Ada Veld.") == policy.tokenizer("Ada Veld.").input_ids


def test_an_end_token_that_the_tokenizer_adds_to_causal_prompts_is_taken_off():
    model, _ = doubles.tiny_llama()
    policy = Policy(model, doubles.tiny_t5()[1])
    assert policy.encode_prompt("Ada Veld.") == policy.tokenizer("Ada Veld.").input_ids[:-1]


def test_prompts_are_padded_left_for_causal_and_right_for_encoder_decoder_policies(policy):
    batch = policy.encode_prompts(TEXTS)
    padded_first = ~batch.mask[:, 0]
    assert batch.mask.any(0).all()
    assert padded_first.any().item() is not policy.is_encoder_decoder
    assert batch.lengths.tolist() == [len(policy.encode_prompt(text)) for text in TEXTS]


def test_prompt_that_is_too_long_is_named():
    policy = Policy(*doubles.tiny_llama())
    with pytest.raises(DataError, match=r"Prompt 1 has \d+ tokens, the limit is 6; shorten it or raise"):
        policy.encode_prompts(["Oslo", TEXTS[1]], max_length=6)


def test_prompt_without_a_token_is_named():
    policy = Policy(*doubles.tiny_gpt2())
    with pytest.raises(DataError, match="Prompt 1 is empty"):
        policy.encode_prompts(["Oslo", ""])


def test_responses_that_cannot_fit_the_window_are_refused():
    policy = Policy(*doubles.tiny_gpt2())
    prompts = policy.encode_prompts(["Oslo", TEXTS[1]])
    with pytest.raises(DataError, match=r"Prompt 1 has \d+ tokens and with 250 new ones does not fit .* 256"):
        policy.greedy(prompts, 250)


def test_policy_survives_saving_and_loading(policy, tmp_path):
    policy.save(tmp_path / "policy")
    policy.save(tmp_path / "policy")  # a second time over the first
    loaded = Policy.load(tmp_path / "policy")
    assert [path.name for path in tmp_path.iterdir()] == ["policy"]
    prompts, again = policy.encode_prompts(TEXTS), loaded.encode_prompts(TEXTS)
    assert torch.equal(prompts.ids, again.ids)
    ids, mask = some_responses(policy)
    with torch.no_grad():
        expected = policy.logprobs(prompts, ids, mask, sampling=Sampling()).logprobs
        found = loaded.logprobs(again, ids, mask, sampling=Sampling()).logprobs
    torch.testing.assert_close(found, expected, **CLOSE)


def _small(config_class, **more):
    """A config of 1 layer for the vocabulary of the tiny Llama's tokenizer."""
    _, tokenizer = doubles.tiny_llama()
    sizes = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    ids = {"eos_token_id": 1, "pad_token_id": 2, "bos_token_id": 0}
    config = config_class(vocab_size=len(tokenizer), num_key_value_heads=1, head_dim=16, **sizes, **ids, **more)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(config)
    return model.eval(), tokenizer


OTHER_LOGITS = {
    "soft-capped": (Gemma2Config, {"final_logit_softcapping": 0.5}),
    "soft-capped, untied": (Gemma2Config, {"final_logit_softcapping": 0.5, "tie_word_embeddings": False}),
    "multiplied": (CohereConfig, {"logit_scale": 4.0}),
    "divided": (GraniteConfig, {"logits_scaling": 0.25}),
}


@pytest.mark.parametrize("name", OTHER_LOGITS)
def test_capped_and_scaled_logits_are_those_of_transformers_and_so_are_their_gradients(name):
    config_class, more = OTHER_LOGITS[name]
    model, tokenizer = _small(config_class, **more)
    policy = Policy(model, tokenizer)
    prompts = policy.encode_prompts(["question: where was Ada Veld born? answer:"])
    ids, mask = some_responses(policy)
    ids, mask = ids[:1], mask[:1]
    sampling = Sampling(temperature=0.7)
    found = policy.logprobs(prompts, ids, mask, sampling=sampling, entropy=True)
    (found.logprobs.sum() + 0.3 * found.entropy.sum()).backward()
    gradient = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    length = prompts.ids.shape[1]
    logits = model(torch.cat([prompts.ids, ids], 1)).logits[:, length - 1 : -1] / 0.7
    assert float(logits.detach().abs().max()) > 0.2, "a cap of 0.5 would not be felt"
    log_p = logits.log_softmax(-1)
    expected = log_p.gather(2, ids[..., None])[..., 0]
    entropy = -(log_p.exp() * log_p).sum(-1)
    torch.testing.assert_close(found.logprobs[mask], expected[mask], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(found.entropy[mask], entropy[mask], atol=1e-4, rtol=1e-4)
    (expected[mask].sum() + 0.3 * entropy[mask].sum()).backward()
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(gradient[name], parameter.grad, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("name", OTHER_LOGITS)
def test_capped_and_scaled_logits_are_drawn_from(name):
    config_class, more = OTHER_LOGITS[name]
    policy = Policy(*_small(config_class, **more))
    prompts = policy.encode_prompts(["question: where was Ada Veld born? answer:"])
    sampling = Sampling(temperature=0.7, max_new_tokens=8)
    drawn = policy.generate(prompts, sampling=sampling, generator=torch.Generator().manual_seed(0))
    again = policy.logprobs(prompts, drawn.ids, drawn.mask, sampling=sampling).logprobs
    torch.testing.assert_close(drawn.logprobs, again, atol=1e-4, rtol=1e-4)


def test_a_tied_t5_whose_padding_row_is_zero_is_read_by_its_other_tokens():
    """Of zero states every scale gives the same logits: which one holds must be told by other tokens."""
    model, tokenizer = doubles.tiny_t5()
    with torch.no_grad():
        model.shared.weight[0] = 0
    policy = Policy(model, tokenizer)
    prompts = policy.encode_prompts(["question: where was Ada Veld born? answer:"])
    ids, mask = some_responses(policy)
    found = policy.logprobs(prompts, ids[:1], mask[:1], sampling=Sampling()).logprobs
    start = torch.full((1, 1), model.config.decoder_start_token_id)
    logits = model(input_ids=prompts.ids, decoder_input_ids=torch.cat([start, ids[:1, :-1]], 1)).logits
    size = max(tokenizer.get_vocab().values()) + 1
    expected = logits[..., :size].log_softmax(-1).gather(2, ids[:1, :, None])[..., 0]
    torch.testing.assert_close(found[mask[:1]], expected[mask[:1]], atol=1e-4, rtol=1e-4)


def test_models_that_change_their_logits_in_an_unknown_way_are_refused(monkeypatch):
    model, tokenizer = _small(Gemma2Config, final_logit_softcapping=0.5)
    monkeypatch.setattr(VocabularyHead, "named", classmethod(lambda cls, linear, size, _: cls(linear, size)))
    with pytest.raises(CheckpointError, match="runs/gemma: its logits are not what its last hidden state"):
        Policy(model, tokenizer, place="runs/gemma")


def test_a_model_whose_logits_are_all_zero_is_refused():
    model, tokenizer = doubles.tiny_llama()
    with torch.no_grad():
        model.get_output_embeddings().weight.zero_()
    with pytest.raises(CheckpointError, match="runs/zero: its logits are 0 for every token"):
        Policy(model, tokenizer, place="runs/zero")


def test_a_model_without_an_end_token_is_refused():
    model, tokenizer = doubles.tiny_llama()
    model.generation_config.eos_token_id = None
    open_ended = type(tokenizer)(tokenizer_object=tokenizer.backend_tokenizer, pad_token="<pad>")
    with pytest.raises(CheckpointError, match="no end-of-text token"):
        Policy(model, open_ended)
