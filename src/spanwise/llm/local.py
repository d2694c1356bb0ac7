"""A chat model of Hugging Face that runs here, as a `ChatClient`: one call at a time, whole answers.

Schemas are not enforced, the prompt has to ask for JSON. Torch and transformers are imported when the client is made.
"""

import threading
from typing import Any

from spanwise.devices import resolve_device
from spanwise.errors import ConfigError
from spanwise.llm.chat import CallError, ChatReply, ChatRequest
from spanwise.llm.config import EndpointConfig


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
