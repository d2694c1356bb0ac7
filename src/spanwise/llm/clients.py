"""The chat clients: one for OpenAI's protocol, one for Anthropic's, one for a Hugging Face model here.

Retries with growing pauses, and waits that the endpoint asks for, are the vendors' own. Their packages are the extra
`editors`, torch is `train`; both are imported when a client is made. Knows nothing of what is asked.
"""

import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Literal

from spanwise.core import CheckpointError, ConfigError, resolve_device
from spanwise.llm.chat import CallError, ChatClient, ChatReply, ChatRequest, FailureKind
from spanwise.llm.config import EndpointConfig
from spanwise.llm.keys import anthropic_client, openai_client

TOP_LOGPROBS = 5
"""How many first tokens an endpoint is asked to list, as AlpacaEval asks."""


def make_client(config: EndpointConfig, *, choices_only: bool = False) -> ChatClient:
    """The client for `config`; raises ConfigError when its key is not set, CheckpointError when there is no model.

    `choices_only` says that every request will have `choices`: a local model then needs no chat template.
    """
    if config.provider == "openai":
        return OpenAIClient(config)
    if config.provider == "anthropic":
        return AnthropicClient(config)
    if config.provider == "policy":
        raise ConfigError("endpoint.provider=policy is for critics of `spanwise rl`; name a model's folder with local.")
    return LocalClient(*_load_local(config, choices_only=choices_only))


class OpenAIClient:
    """Any endpoint that speaks OpenAI's chat completions."""

    def __init__(self, config: EndpointConfig) -> None:
        import openai  # noqa: PLC0415 - an extra

        self._vendor = openai
        self._config = config
        self._client = openai_client(
            config.base_url, config.api_key_env, timeout_s=config.timeout_s, retries=config.retries
        )

    def complete(self, request: ChatRequest) -> ChatReply:
        """The reply; raises CallError."""
        messages = [{"role": "system", "content": request.system}] if request.system else []
        messages += [{"role": role, "content": text} for role, text in request.messages]
        # OpenAI itself wants the new name of the field, servers of one's own know the old one
        limit = "max_tokens" if self._config.base_url else "max_completion_tokens"
        options: dict[str, Any] = {limit: request.max_tokens}
        if request.temperature is not None:
            options["temperature"] = request.temperature
        if request.seed is not None:
            options["seed"] = request.seed
        if request.schema is not None and self._config.structured:
            form = {"name": "answer", "schema": request.schema, "strict": True}
            options["response_format"] = {"type": "json_schema", "json_schema": form}
        if request.choices:
            options |= {"logprobs": True, "top_logprobs": TOP_LOGPROBS}
        with _failures_named(self._vendor, self._vendor.OpenAIError):
            answer = self._client.chat.completions.create(model=request.model, messages=messages, **options)  # type: ignore
        return _openai_reply(answer, request.choices)


class AnthropicClient:
    """Anthropic's messages; they come without probabilities."""

    def __init__(self, config: EndpointConfig) -> None:
        import anthropic  # noqa: PLC0415 - an extra

        self._vendor = anthropic
        self._config = config
        self._client = anthropic_client(
            config.base_url, config.api_key_env, timeout_s=config.timeout_s, retries=config.retries
        )

    def complete(self, request: ChatRequest) -> ChatReply:
        """The reply; raises CallError."""
        options: dict[str, Any] = {"max_tokens": request.max_tokens}
        if request.system:
            options["system"] = request.system
        if request.temperature is not None:  # the newest models refuse it, and the client has no field for it
            options["extra_body"] = {"temperature": request.temperature}
        if request.schema is not None and self._config.structured:
            options["output_config"] = {"format": {"type": "json_schema", "schema": request.schema}}
        messages = [{"role": role, "content": text} for role, text in request.messages]
        with _failures_named(self._vendor, self._vendor.AnthropicError):
            answer = self._client.messages.create(model=request.model, messages=messages, **options)  # type: ignore
        return _anthropic_reply(answer)


def _openai_reply(answer: Any, choices: tuple[str, ...]) -> ChatReply:
    """Endpoints differ: every field may be absent, whatever the vendor's types say."""
    options = getattr(answer, "choices", None)
    if not options or getattr(options[0], "message", None) is None:
        raise CallError("malformed reply", "the endpoint's reply holds no message")
    message, usage = options[0].message, getattr(answer, "usage", None)
    finish, text = getattr(options[0], "finish_reason", None), getattr(message, "content", None)
    reply = ChatReply(
        text=text if isinstance(text, str) else "",
        finish=_finish(finish == "length"),
        model=str(getattr(answer, "model", "") or ""),
        input_tokens=int(getattr(usage, "prompt_tokens", 0) or 0),
        output_tokens=int(getattr(usage, "completion_tokens", 0) or 0),
        reply_id=str(getattr(answer, "id", "") or ""),
        logprobs=_logprobs(options[0], choices),
    )
    refusal = getattr(message, "refusal", None)
    if refusal or finish == "content_filter":
        raise CallError("model refused", str(refusal or "the endpoint's content filter"), paid=reply)
    return reply


def _logprobs(option: Any, choices: tuple[str, ...]) -> dict[str, float] | None:
    """What is listed of the choices at the first token; the likeliest of tokens that differ in white space counts."""
    listed = getattr(getattr(option, "logprobs", None), "content", None)
    if not choices or not listed:
        return None
    top = {entry.token.strip(): float(entry.logprob) for entry in reversed(listed[0].top_logprobs)}
    return {choice: top[choice] for choice in choices if choice in top}


def _anthropic_reply(answer: Any) -> ChatReply:
    blocks = getattr(answer, "content", None)
    if not isinstance(blocks, list):
        raise CallError("malformed reply", "the endpoint's reply holds no content")
    text = "".join(str(block.text) for block in blocks if getattr(block, "type", "") == "text")
    usage, stop = getattr(answer, "usage", None), getattr(answer, "stop_reason", None)
    reply = ChatReply(
        text=text,
        finish=_finish(stop == "max_tokens"),
        model=str(getattr(answer, "model", "") or ""),
        input_tokens=int(getattr(usage, "input_tokens", 0) or 0),
        output_tokens=int(getattr(usage, "output_tokens", 0) or 0),
        reply_id=str(getattr(answer, "id", "") or ""),
    )
    if stop == "refusal":
        raise CallError("model refused", text or "the model refused", paid=reply)
    return reply


def _finish(cut: bool) -> Literal["stop", "length"]:
    return "length" if cut else "stop"


@contextmanager
def _failures_named(vendor: Any, any_failure: type[Exception]) -> Generator[None]:
    """Turns what the vendor's package raises into CallError."""
    try:
        yield
    except (any_failure, ValueError) as error:  # ValueError: half a JSON
        raise CallError(_kind(vendor, error), " ".join(str(error).split())[:300]) from error


def _kind(vendor: Any, error: Exception) -> FailureKind:
    """What went wrong, in our words; both vendors name their errors alike."""
    kinds: list[tuple[str, FailureKind]] = [
        ("APITimeoutError", "time-out"),
        ("APIConnectionError", "connection"),
        ("RateLimitError", "rate limit"),
        ("APIResponseValidationError", "malformed reply"),
        ("AuthenticationError", "no access"),
        ("PermissionDeniedError", "no access"),
        ("NotFoundError", "no access"),
    ]
    for name, kind in kinds:
        if isinstance(error, getattr(vendor, name)):
            return kind
    if isinstance(error, vendor.APIStatusError):
        return "server error" if error.status_code >= 500 else "rejected"  # type: ignore[attr-defined]
    return "malformed reply"


class LocalClient:
    """A causal model of `transformers`, one request at a time.

    Choices are read off right behind the prompt, nothing is generated for them. Without a chat template, which only
    choices can do, the prompt ends with "Answer:". The seed of a request makes sampled answers repeatable.
    """

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self._model, self._tokenizer = model.eval(), tokenizer
        self._one_at_a_time = threading.Lock()

    def complete(self, request: ChatRequest) -> ChatReply:
        """The reply; raises CallError when the model cannot read the request."""
        import torch  # noqa: PLC0415 - heavy

        with self._one_at_a_time, torch.no_grad():
            ids = self._ids(request)
            window = getattr(self._model.config, "max_position_embeddings", None)
            if window is not None and ids.shape[1] > window:
                raise CallError("prompt too long", f"the prompt has {ids.shape[1]} tokens, the model reads {window}")
            return self._chosen(request, ids) if request.choices else self._generated(request, ids)

    def _chosen(self, request: ChatRequest, ids: Any) -> ChatReply:
        tokens = {choice: self._token_of(choice) for choice in request.choices}
        if len(set(tokens.values())) < len(tokens):
            raise ConfigError(f"{request.model}: its tokenizer does not tell {request.choices} apart; choose another.")
        logprobs = self._model(ids, attention_mask=ids.new_ones(ids.shape)).logits[0, -1].float().log_softmax(-1)
        likely = {choice: float(logprobs[token]) for choice, token in tokens.items()}
        return ChatReply(max(likely, key=likely.__getitem__), "stop", request.model, ids.shape[1], logprobs=likely)

    def _token_of(self, choice: str) -> int:
        """The token that an answer of this word begins with."""
        word = choice if self._tokenizer.chat_template else f" {choice}"
        ids = self._tokenizer.encode(word, add_special_tokens=False)
        if not ids:
            raise ConfigError(f"The model's tokenizer has no token for {choice!r}; choose another model.")
        return ids[-1]

    def _generated(self, request: ChatRequest, ids: Any) -> ChatReply:
        import torch  # noqa: PLC0415 - heavy

        sample = bool(request.temperature)
        with torch.random.fork_rng(devices=[ids.device] if ids.is_cuda else []):
            if sample:  # `generate` takes no generator: its global state is set here and put back afterwards
                torch.manual_seed(request.seed or 0)
            produced = self._model.generate(
                ids,
                attention_mask=ids.new_ones(ids.shape),
                max_new_tokens=request.max_tokens,
                do_sample=sample,
                pad_token_id=self._tokenizer.eos_token_id,
                **({"temperature": request.temperature} if sample else {}),
            )
        new: list[int] = produced[0, ids.shape[1] :].tolist()
        ended = bool(new) and new[-1] == self._tokenizer.eos_token_id
        text = self._tokenizer.decode(new, skip_special_tokens=True)
        return ChatReply(text, _finish(not ended), request.model, ids.shape[1], len(new))

    def _ids(self, request: ChatRequest) -> Any:
        """The prompt as token ids, 1 x length, on the model's device."""
        turns = [{"role": "system", "content": request.system}] if request.system else []
        turns += [{"role": role, "content": text} for role, text in request.messages]
        if not self._tokenizer.chat_template:
            text = "\n".join([turn["content"] for turn in turns] + ["Answer:"])
            return self._tokenizer(text, return_tensors="pt")["input_ids"].to(self._model.device)
        try:
            encoded = self._tokenizer.apply_chat_template(
                turns, add_generation_prompt=True, return_tensors="pt", return_dict=True
            )
        except Exception as error:  # a template is a program of its author's
            raise CallError("rejected", f"the chat template failed: {_first_line(error)}") from error
        return encoded["input_ids"].to(self._model.device)


def _load_local(config: EndpointConfig, *, choices_only: bool) -> tuple[Any, Any]:
    """Model and tokenizer."""
    from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: PLC0415 - heavy

    device = resolve_device(config.device)
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(config.model)
        model: Any = AutoModelForCausalLM.from_pretrained(config.model, dtype="auto")
    except Exception as error:  # whatever a damaged folder makes of transformers
        reason = f"no causal language model can be loaded ({_first_line(error)})"
        raise CheckpointError(f"{config.model}: {reason}; check the endpoint's model.") from error
    if not tokenizer.chat_template and not choices_only:
        raise ConfigError(f"{config.model}: its tokenizer has no chat template; name a chat model.")
    return model.to(device), tokenizer


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
