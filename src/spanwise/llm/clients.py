"""The clients of the vendors, as `ChatClient`s: one for OpenAI's protocol, one for Anthropic's.

Retries with growing pauses, and waits that the endpoint asks for, are the vendors' own. Their packages are the extra
`editors` and are imported when a client is made. Knows nothing of what is asked.
"""

import threading
from typing import Any, Literal

from spanwise.core import ConfigError, resolve_device
from spanwise.llm.chat import CallError, ChatClient, ChatReply, ChatRequest, FailureKind
from spanwise.llm.config import EndpointConfig
from spanwise.llm.keys import anthropic_client, openai_client


def make_client(config: EndpointConfig) -> ChatClient:
    """The client for `config`; raises ConfigError when its key is not set."""
    if config.provider == "local":
        from spanwise.llm.clients import LocalClient  # noqa: PLC0415 - torch begins there

        return LocalClient(config)
    return OpenAIClient(config) if config.provider == "openai" else AnthropicClient(config)


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
        try:
            found = self._client.chat.completions.create(model=request.model, messages=messages, **options)  # type: ignore
        except (self._vendor.OpenAIError, ValueError) as error:  # ValueError: half a JSON
            raise _failed(self._vendor, error) from error
        return _openai_reply(found)


class AnthropicClient:
    """Anthropic's messages."""

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
        try:
            found = self._client.messages.create(model=request.model, messages=messages, **options)  # type: ignore
        except (self._vendor.AnthropicError, ValueError) as error:  # ValueError: half a JSON
            raise _failed(self._vendor, error) from error
        return _anthropic_reply(found)


def _openai_reply(found: Any) -> ChatReply:
    """Endpoints differ: every field may be absent, whatever the vendor's types say."""
    choices = getattr(found, "choices", None)
    if not choices or getattr(choices[0], "message", None) is None:
        raise CallError("malformed reply", "the endpoint's reply holds no message")
    message, usage = choices[0].message, getattr(found, "usage", None)
    finish = getattr(choices[0], "finish_reason", None)
    reply = ChatReply(
        text=message.content or "",
        finish=_finish(finish == "length"),
        model=str(getattr(found, "model", "") or ""),
        input_tokens=int(getattr(usage, "prompt_tokens", 0) or 0),
        output_tokens=int(getattr(usage, "completion_tokens", 0) or 0),
        reply_id=str(getattr(found, "id", "") or ""),
    )
    refusal = getattr(message, "refusal", None)
    if refusal or finish == "content_filter":
        raise CallError("model refused", str(refusal or "the endpoint's content filter"), paid=reply)
    return reply


def _anthropic_reply(found: Any) -> ChatReply:
    blocks = getattr(found, "content", None)
    if not isinstance(blocks, list):
        raise CallError("malformed reply", "the endpoint's reply holds no content")
    said = "".join(str(block.text) for block in blocks if getattr(block, "type", "") == "text")
    usage = getattr(found, "usage", None)
    reply = ChatReply(
        text=said,
        finish=_finish(found.stop_reason == "max_tokens"),
        model=str(found.model or ""),
        input_tokens=int(getattr(usage, "input_tokens", 0) or 0),
        output_tokens=int(getattr(usage, "output_tokens", 0) or 0),
        reply_id=str(found.id or ""),
    )
    if found.stop_reason == "refusal":
        raise CallError("model refused", said or "the model refused", paid=reply)
    return reply


def _finish(cut: bool) -> Literal["stop", "length"]:
    return "length" if cut else "stop"


def _failed(vendor: Any, error: Exception) -> CallError:
    """What went wrong, in our words; both vendors name their errors alike."""
    kinds: list[tuple[str, FailureKind]] = [
        ("APITimeoutError", "time-out"),
        ("APIConnectionError", "connection"),
        ("RateLimitError", "rate limit"),
        ("APIResponseValidationError", "malformed reply"),
    ]
    reason = " ".join(str(error).split())[:300]
    for name, kind in kinds:
        if isinstance(error, getattr(vendor, name)):
            return CallError(kind, reason)
    if isinstance(error, vendor.APIStatusError):
        return CallError("server error" if error.status_code >= 500 else "rejected", reason)  # type: ignore[attr-defined]
    return CallError("malformed reply", reason)


class LocalClient:
    """Generates with `transformers`; the seed of a request makes sampled answers repeatable."""

    def __init__(self, config: EndpointConfig) -> None:
        from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: PLC0415 - heavy

        self._device = resolve_device(config.device)
        self._one_at_a_time = threading.Lock()
        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(config.model)
            model: Any = AutoModelForCausalLM.from_pretrained(config.model)
        except (OSError, ValueError) as error:
            raise ConfigError(f"{config.model}: cannot be loaded as a chat model ({_first_line(error)}).") from error
        self._model = model.to(self._device).eval()
        if not self._tokenizer.chat_template:
            raise ConfigError(f"{config.model}: its tokenizer has no chat template; name a chat model.")

    def complete(self, request: ChatRequest) -> ChatReply:
        """The reply; raises CallError when the model cannot read the request."""
        import torch  # noqa: PLC0415 - heavy

        ids = self._ids(request)
        sample = bool(request.temperature)
        cuda = [self._device] if self._device.startswith("cuda") else []
        with self._one_at_a_time, torch.no_grad(), torch.random.fork_rng(devices=cuda):
            if sample:  # `generate` takes no generator: its global state is set here and put back afterwards
                torch.manual_seed(request.seed or 0)
            options = {"temperature": request.temperature} if sample else {}
            produced = self._model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=request.max_tokens,
                do_sample=sample,
                pad_token_id=self._tokenizer.eos_token_id,
                **options,
            )
        new: list[int] = produced[0, ids.shape[1] :].tolist()
        ended = bool(new) and new[-1] == self._tokenizer.eos_token_id
        text = self._tokenizer.decode(new, skip_special_tokens=True)
        return ChatReply(text, "stop" if ended else "length", request.model, ids.shape[1], len(new))

    def _ids(self, request: ChatRequest) -> Any:
        turns = [{"role": "system", "content": request.system}] if request.system else []
        turns += [{"role": role, "content": text} for role, text in request.messages]
        try:
            found = self._tokenizer.apply_chat_template(
                turns, add_generation_prompt=True, return_tensors="pt", return_dict=True
            )
        except Exception as error:  # a template is a program of its author's
            raise CallError("rejected", f"the chat template failed: {_first_line(error)}") from error
        return found["input_ids"].to(self._device)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
