"""The policy: a causal or encoder-decoder language model that answers prompts and says how likely answers are.

One class for both families. It owns the rules by which texts become token ids: how a response continues a prompt, what
ends it, and what does not fit. It always runs in evaluation mode: dropout would make the ratio of new to old
probabilities differ from 1 before any update (wu2023.md 3.4). It knows nothing of rewards or training.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from spanwise.core import CheckpointError, DataError
from spanwise.feedback import Asked, PromptConfig, PromptRecord
from spanwise.models.adapters import Role, active
from spanwise.models.backbone import Backbone
from spanwise.models.batches import Logprobs, PromptBatch, ResponseBatch, pad
from spanwise.models.checkpoints import load_policy, whole_folder, without_bars
from spanwise.models.config import Sampling
from spanwise.models.encoding import PromptEncoder, TextEncoder, form_of, keep_form
from spanwise.models.logprobs import BARRED, VocabularyHead, token_logprobs
from spanwise.models.sampling import Draw, continue_until_end, draw, pick_likeliest
from spanwise.models.sharding import whole

PROBED = 16
"""Tokens, spread over the vocabulary, by which a model's logits are told."""
PROBE_TOLERANCE = {True: 1e-4, False: 2e-2}
"""How far they may be from what the head gives, as a share of the largest: in float32, and in half precision."""


class Policy:
    """A language model with its tokenizer; `model` and `tokenizer` stay plain Hugging Face objects.

    With a `role` the model's weights are shared with others, and this policy is the model with its role's adapter on.
    `place` is what refusals call it. How it reads prompts is kept in the model's config.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        *,
        place: str = "the model",
        role: Role | None = None,
    ) -> None:
        self.model = model.eval()
        self.tokenizer = tokenizer
        self.role = role
        self.place = place
        self._encoder = TextEncoder(tokenizer)
        self.backbone = Backbone(model)
        self.is_encoder_decoder = self.backbone.is_encoder_decoder
        self.eos_id, self._eos_ids = _end_ids(model, tokenizer, place)
        self.pad_id = cast("int", self.eos_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id)
        self.head = _vocabulary_head(self.backbone, model, max(tokenizer.get_vocab().values()) + 1, place)
        self._lead = "" if self.is_encoder_decoder else _leading_space(tokenizer)
        self._text_end = self.eos_id
        self.use_prompts(PromptConfig())

    @classmethod
    def load(
        cls,
        path_or_name: str | Path,
        *,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        attention: str | None = None,
    ) -> "Policy":
        """Loads a checkpoint folder or a Hub model; raises CheckpointError when it is no policy."""
        model, tokenizer = load_policy(path_or_name, device=device, dtype=dtype, attention=attention)
        return cls(model, tokenizer, place=str(path_or_name))

    @property
    def form(self) -> PromptConfig:
        """The form in which it reads prompts."""
        return self._prompts.form

    def use_prompts(self, asked: PromptConfig) -> None:
        """Reads prompts as `asked` says from now on; ConfigError where it was trained on another form."""
        has_chat = bool(getattr(self.tokenizer, "chat_template", None))
        form = asked.agreed(form_of(self.model), has_chat=has_chat, place=self.place)
        self._prompts = PromptEncoder(self.tokenizer, form)
        turn_end = self._prompts.turn.end if form.takes_turns else None
        self.eos_id = self._text_end if turn_end is None else turn_end
        self._eos_ids = sorted({*self._eos_ids, self.eos_id})
        if asked != PromptConfig():  # copies of the model must read as this one does
            keep_form(self.model, form)

    def weights(self) -> dict[str, Tensor]:
        """What a plain model that does the same would hold; all processes must ask for it where weights are split."""
        return whole(cast("nn.Module", self.model).state_dict() if self.role is None else self.role.merged())

    def save(self, path: Path, weights: Mapping[str, Tensor] | None = None) -> None:
        """Writes a plain Hugging Face folder at `path`, whole or not at all; `weights` is what `weights` gave."""
        with whole_folder(path) as folder, without_bars():
            keep_form(self.model, self.form)
            self.model.save_pretrained(folder, state_dict=dict(self.weights() if weights is None else weights))
            self.tokenizer.save_pretrained(folder)

    def trained_parameters(self) -> dict[str, nn.Parameter]:
        """What training this policy changes, by name."""
        if self.role is not None:
            return self.role.parameters()
        return {name: p for name, p in cast("nn.Module", self.model).named_parameters() if p.requires_grad}

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.model.device

    @property
    def window(self) -> int | None:
        """How many tokens prompt and response may have (together if causal); None when the model sets no limit."""
        limit = getattr(self.model.config, "max_position_embeddings", None)
        return None if limit is None else int(limit)

    @property
    def end_ids(self) -> list[int]:
        """All ids that end a response."""
        return list(self._eos_ids)

    def room_for_prompt(self, max_new_tokens: int) -> int | None:
        """How many tokens a prompt may have if that many are to follow; None where there is no limit."""
        return self.window if self.window is None or self.is_encoder_decoder else self.window - max_new_tokens

    def encode_prompts(self, prompts: Sequence[str | Asked], max_length: int | None = None) -> PromptBatch:
        """Tokenizes model inputs into one batch.

        Raises DataError that names the prompt which is empty or longer than `max_length` tokens.
        """
        rows = [self.encode_prompt(prompt) for prompt in prompts]
        for number, row in enumerate(rows):
            if not row:
                raise DataError(f"Prompt {number} is empty for this tokenizer; give it some text.")
            if max_length is not None and len(row) > max_length:
                raise DataError(
                    f"Prompt {number} has {len(row)} tokens, the limit is {max_length}; "
                    "shorten it or raise max_prompt_tokens."
                )
        return self.stack_prompts(rows)

    def encode_prompt(self, prompt: str | Asked) -> list[int]:
        """The ids of what a record asks, in the policy's form; of a text, as it stands.

        Plain text has the tokenizer's own special tokens (a BOS where it has one). Special tokens count where a chat
        template or a verbatim record, which one may have written, holds them; elsewhere they are plain characters.
        """
        if isinstance(prompt, PromptRecord) and prompt.verbatim:
            return self._verbatim(prompt.prompt)
        if isinstance(prompt, str):
            return self._continuable(self._encoder.ids(prompt))
        passages = prompt.read_passages if isinstance(prompt, PromptRecord) else prompt.passages
        ids = self._prompts.ids(prompt, passages)
        return ids if self.form.takes_turns else self._continuable(ids)

    def _verbatim(self, text: str) -> list[int]:
        ids = cast("list[int]", self.tokenizer(text).input_ids)
        return ids if text.endswith(str(self.tokenizer.eos_token)) else self._continuable(ids)

    def _continuable(self, ids: list[int]) -> list[int]:
        """Without the end that some tokenizers write after every text: a causal prompt must not have ended."""
        closed = not self.is_encoder_decoder and len(ids) > 1 and ids[-1] == self._text_end
        return ids[:-1] if closed else ids

    def stack_prompts(self, rows: Sequence[Sequence[int]]) -> PromptBatch:
        """Pads encoded prompts on the side where this family needs it."""
        ids, mask = pad(rows, value=self.pad_id, side="right" if self.is_encoder_decoder else "left")
        return PromptBatch(ids, mask).to(self.device)

    def encode_response(self, text: str) -> list[int]:
        """The ids that the policy would have to sample in order to answer `text`, its end token included.

        After a causal prompt, the text is tokenized apart from the prompt, beginning with the space that parts them
        wherever this tokenizer writes spaces into its tokens; so the border between prompt and response does not
        depend on either text. An encoder-decoder response starts afresh and has no such space. Where a template writes
        the prompts, the ids are those that it gives the assistant's turn.
        """
        if self.form.takes_turns:
            return [*self._prompts.answer(text)[0], self.eos_id]
        return [*self._encoder.ids(self._lead + text, add_special_tokens=False), self.eos_id]

    def locate_response(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """The ids of `encode_response` without the end token, and the characters of `text` that each wrote.

        Raises CheckpointError for a tokenizer without character offsets.
        """
        if not self.tokenizer.is_fast:
            raise CheckpointError(f"{self.place}: its tokenizer has no character offsets; take one with a fast one.")
        if self.form.takes_turns:
            return self._prompts.answer(text)
        lead = len(self._lead)
        ((ids, offsets),) = self._encoder.located([self._lead + text], add_special_tokens=False)
        return ids, [(max(0, start - lead), max(0, end - lead)) for start, end in offsets]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of response ids for people to read: no special tokens, no space around it."""
        text = self.tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return cast("str", text).strip()

    def hidden(
        self, prompts: PromptBatch, response_ids: Int[Tensor, "b t"], response_mask: Bool[Tensor, "b t"]
    ) -> Float[Tensor, "b t h"]:
        """The last hidden state before each response token: the one that predicts it."""
        with active(self.role):
            return self.backbone(prompts, response_ids, response_mask)

    def logprobs(
        self,
        prompts: PromptBatch,
        response_ids: Int[Tensor, "b t"],
        response_mask: Bool[Tensor, "b t"],
        *,
        sampling: Sampling,
        support: Int[Tensor, "b t k"] | None = None,
        entropy: bool = False,
    ) -> Logprobs:
        """Log-probabilities of given responses under `sampling`; differentiable; 0 where masked.

        Top-k sampling needs `support`, the ids that `generate` stored: without it the log-probabilities would be of
        another distribution than the one that was sampled. Raises ValueError when the two do not fit.
        """
        states = self.hidden(prompts, response_ids, response_mask)
        return self.logprobs_of(
            states, response_ids, response_mask, sampling=sampling, support=support, entropy=entropy
        )

    def logprobs_of(
        self,
        states: Float[Tensor, "b t h"],
        response_ids: Int[Tensor, "b t"],
        response_mask: Bool[Tensor, "b t"],
        *,
        sampling: Sampling,
        support: Int[Tensor, "b t k"] | None = None,
        entropy: bool = False,
    ) -> Logprobs:
        """`logprobs` from what `hidden` gave."""
        if (support is not None) != (0 < sampling.top_k < self.head.size):
            raise ValueError("support goes with top-k sampling and only with it; pass ResponseBatch.support")
        logprobs, entropies = token_logprobs(
            states[response_mask],
            self.head,
            response_ids[response_mask],
            temperature=sampling.temperature,
            support=None if support is None else support[response_mask],
            barred=self._barred(response_mask, sampling.min_new_tokens),
            entropy=entropy,
        )
        return Logprobs(
            _spread(logprobs, response_mask), None if entropies is None else _spread(entropies, response_mask)
        )

    def generate(
        self,
        prompts: PromptBatch,
        *,
        sampling: Sampling,
        samples_per_prompt: int = 1,
        generator: torch.Generator,
        top_p: float = 1.0,
        values: Callable[[Float[Tensor, "b h"]], Float[Tensor, " b"]] | None = None,
    ) -> ResponseBatch:
        """Samples responses; rows are prompt 0 sample 0, prompt 0 sample 1, ..., prompt 1 sample 0, ...

        With `top_p` below 1 the log-probabilities are of what was drawn from, which `logprobs` cannot replay. `values`
        says what the states are worth in which the tokens are drawn.
        """

        def choose(states: Tensor, step: int) -> Draw:
            logits = self.logits(states, sampling.temperature, may_end=step >= sampling.min_new_tokens)
            drawn = draw(logits, sampling.top_k, generator, top_p)
            return drawn if values is None else replace(drawn, values=values(states))

        return self._continue(prompts, samples_per_prompt, choose, sampling.max_new_tokens)

    def greedy(self, prompts: PromptBatch, max_new_tokens: int, min_new_tokens: int = 0) -> ResponseBatch:
        """The likeliest token at every step; `logprobs` are those at temperature 1 among all that could be drawn."""

        def choose(states: Tensor, step: int) -> Draw:
            return pick_likeliest(self.logits(states, 1.0, may_end=step >= min_new_tokens))

        return self._continue(prompts, 1, choose, max_new_tokens)

    def logits(
        self, states: Float[Tensor, "b h"], temperature: float = 1.0, *, may_end: bool = True
    ) -> Float[Tensor, "b v"]:
        """What the next token is drawn from, by its state; the ids that end a response barred unless it `may_end`."""
        logits = self.head.logits(states, temperature)
        if not may_end:
            logits[:, self._eos_ids] = BARRED
        return logits

    def _barred(self, response_mask: Tensor, min_new_tokens: int) -> tuple[Tensor, Tensor] | None:
        """Among the tokens that count, those at which no response may end, and the ids that end one."""
        if min_new_tokens == 0:
            return None
        early = torch.arange(response_mask.shape[1], device=response_mask.device) < min_new_tokens
        ends = torch.tensor(self._eos_ids, device=response_mask.device)
        return early.expand_as(response_mask)[response_mask], ends

    def _continue(
        self, prompts: PromptBatch, samples: int, choose: Callable[[Tensor, int], Draw], max_new_tokens: int
    ) -> ResponseBatch:
        self._check_room(prompts, max_new_tokens)
        with torch.inference_mode(), active(self.role):
            decoding = self.backbone.start(prompts)
            decoding.repeat(samples)
            batch = continue_until_end(
                decoding,
                choose,
                max_new_tokens=max_new_tokens,
                eos_ids=torch.tensor(self._eos_ids, device=prompts.ids.device),
                pad_id=self.pad_id,
            )
        return batch.clone()  # tensors made in inference mode cannot enter a backward pass; their copies can

    def _check_room(self, prompts: PromptBatch, max_new_tokens: int) -> None:
        room = self.room_for_prompt(max_new_tokens)
        longest = int(prompts.lengths.max())
        if room is not None and longest > room:
            raise DataError(
                f"Prompt {int(prompts.lengths.argmax())} has {longest} tokens and with {max_new_tokens} new ones does "
                f"not fit the model's window of {self.window}; shorten prompts or lower max_new_tokens."
            )


def _end_ids(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, place: str) -> tuple[int, list[int]]:
    """The id that ends a response, and all ids that do: chat models stop at more than their tokenizer's EOS."""
    eos = cast("int | list[int] | None", getattr(model.generation_config, "eos_token_id", None))
    configured = eos if isinstance(eos, list) else [eos]
    ids = [id_ for id_ in [cast("int | None", tokenizer.eos_token_id), *configured] if id_ is not None]
    if not ids:
        raise CheckpointError(f"{place}: no end-of-text token; set eos_token in its tokenizer_config.json.")
    return ids[0], sorted(set(ids))


def _leading_space(tokenizer: PreTrainedTokenizerBase) -> str:
    """A space if a word in running text has other ids than a word by itself, as in GPT-2's and Llama 3's tokenizers."""
    word = cast("list[int]", tokenizer("a", add_special_tokens=False).input_ids)
    words = cast("list[int]", tokenizer("a a", add_special_tokens=False).input_ids)
    return "" if words == word + word else " "


def _vocabulary_head(backbone: Backbone, model: PreTrainedModel, vocabulary: int, place: str) -> VocabularyHead:
    """The map from hidden states to logits, with the scale and the cap that the model's config names.

    It is held against the model's own logits of varied tokens: a model that does something else to them, which its
    config calls by another name, is refused.
    """
    linear = model.get_output_embeddings()
    if not isinstance(linear, nn.Linear):
        raise CheckpointError(
            f"{place}: its vocabulary head is a {type(linear).__name__}, not linear; use another model."
        )
    size = min(linear.out_features, vocabulary)
    named = VocabularyHead.named(linear, size, model.config)
    # T5 and kin scale by d_model ** -0.5 when embeddings are tied, which no field of all of them says.
    heads = [named, replace(named, scale=named.scale * backbone.hidden_size**-0.5)]
    embedded = cast("nn.Embedding", model.get_input_embeddings()).num_embeddings
    ids = torch.linspace(1, embedded - 1, PROBED, device=model.device).long()[None]
    with torch.inference_mode():
        states, logits = _states_and_logits(backbone, model, ids)
        largest = float(logits.abs().max())
        errors = [float((head.logits(states) - logits[:, :size]).abs().max()) for head in heads]
    if not largest > 0:
        raise CheckpointError(f"{place}: its logits are 0 for every token, so they say nothing; train it first.")
    if not min(errors) <= PROBE_TOLERANCE[logits.dtype == torch.float32] * largest:
        raise CheckpointError(
            f"{place}: its logits are not what its last hidden state and its config give (it caps or scales them in a "
            "way that is not known here), and log-probabilities rely on them; use another model."
        )
    return heads[errors.index(min(errors))]


def _states_and_logits(backbone: Backbone, model: PreTrainedModel, ids: Tensor) -> tuple[Tensor, Tensor]:
    """Of one row of tokens, (n, h) and (n, v)."""
    if backbone.is_encoder_decoder:
        memory = backbone.encode(PromptBatch(ids, torch.ones_like(ids, dtype=torch.bool)))
        states = backbone.decoder(input_ids=ids, encoder_hidden_states=memory, use_cache=False).last_hidden_state
        return states[0], model(input_ids=ids, decoder_input_ids=ids, use_cache=False).logits[0]
    states = backbone.decoder(input_ids=ids, use_cache=False).last_hidden_state
    return states[0], model(input_ids=ids, use_cache=False).logits[0]


def _spread(values: Float[Tensor, " n"], mask: Bool[Tensor, "b t"]) -> Float[Tensor, "b t"]:
    """Puts the values of the tokens that count back into rows, 0 elsewhere."""
    return values.new_zeros(mask.shape).masked_scatter(mask, values)
