"""A server on 127.0.0.1 that speaks the part of `vllm serve`'s protocol that rollouts use, with a policy behind it.

Its words are those of vLLM (requests, replies, errors and the endpoints of developers' mode); `wrong` makes it err.
"""

import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import torch
from safetensors.torch import load_file

from spanwise.models.config import Sampling


class VllmDouble:
    """Holds `policy`, whose weights it replaces on demand; `requests` is what was asked, in the order of arrival.

    `edit` may change a choice before it is sent. `failures` are statuses, or seconds of silence, for the next requests
    to a path.
    """

    def __init__(self, policy, *, mode="processed_logprobs", developer=True, key=None):
        self.policy, self.mode, self.developer, self.key = policy, mode, developer, key
        self.requests, self.loaded, self.failures = [], [], {}
        self.edit = lambda choice: choice
        self._one_at_a_time = threading.Lock()

    def answer(self, path, body):
        """Status and content of the reply; None for an empty one."""
        if not self.developer and not path.startswith("/v1/"):
            return 404, {"detail": "Not Found"}
        if path == "/server_info":
            return 200, {"vllm_config": {"model_config": {"logprobs_mode": self.mode}}, "vllm_env": {}}
        if path == "/v1/models":
            return 200, {"object": "list", "data": [{"id": "served", "object": "model", "max_model_len": 64}]}
        if path == "/collective_rpc":
            return self._load(body)
        return self._complete(body)

    def _load(self, body):
        assert body["method"] == "reload_weights"
        folder = Path(body["kwargs"]["weights_path"])
        if not folder.is_dir():
            return 500, error(f"Cannot find model weights with `{folder}`", "InternalServerError", 500)
        weights = load_file(folder / "model.safetensors")
        assert weights.keys() <= self.policy.model.state_dict().keys()
        self.policy.model.load_state_dict({**self.policy.model.state_dict(), **weights})
        self.loaded.append(folder)
        return 200, {"results": [None]}

    def _complete(self, body):
        if body["model"] != "served":
            return 404, error(f"The model `{body['model']}` does not exist.", "NotFoundError", 404)
        if len(body["prompt"]) + body["max_tokens"] > 64:
            return 400, error("This model's maximum context length is 64 tokens.", "BadRequestError", 400)
        sampling = Sampling(
            temperature=body["temperature"], max_new_tokens=body["max_tokens"], min_new_tokens=body["min_tokens"]
        )
        with self._one_at_a_time:
            drawn = self.policy.generate(
                self.policy.stack_prompts([body["prompt"]]),
                sampling=sampling,
                samples_per_prompt=body["n"],
                generator=torch.Generator().manual_seed(body["seed"]),
            )
        rows = zip(drawn.ids, drawn.logprobs, drawn.mask, drawn.truncated, strict=True)
        choices = [
            self.edit(choice(body, i, ids[mask].tolist(), logprobs[mask].tolist(), bool(cut)))
            for i, (ids, logprobs, mask, cut) in enumerate(rows)
        ]
        return 200, {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "served", "choices": choices}


def choice(body, index, ids, logprobs, cut):
    assert body["return_token_ids"] is True
    assert body["logprobs"] == 0
    return {
        "index": index,
        "text": "",
        "prompt_token_ids": body["prompt"],
        "token_ids": ids,
        "logprobs": {"tokens": [""] * len(ids), "token_logprobs": logprobs, "text_offset": [0], "top_logprobs": []},
        "finish_reason": "length" if cut else "stop",
        "stop_reason": None,
    }


def error(message, kind, code):
    """An error as vLLM's OpenAI-compatible endpoints tell it."""
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


@contextmanager
def serving(double):
    """Yields the address of `double`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.reply(None)

        def do_POST(self):
            self.reply(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def reply(self, body):
            path = urlsplit(self.path).path
            double.requests.append((path, body))
            failure = double.failures[path].pop(0) if double.failures.get(path) else None
            if isinstance(failure, float):
                time.sleep(failure)
            if double.key and path.startswith("/v1") and self.headers["Authorization"] != f"Bearer {double.key}":
                status, content = 401, {"error": "Unauthorized"}
            elif isinstance(failure, int):
                status, content = failure, error("EngineCore encountered an issue.", "InternalServerError", failure)
            else:
                status, content = double.answer(path, body)
            data = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *arguments):
            pass

        def handle_one_request(self):
            try:
                super().handle_one_request()
            except (BrokenPipeError, ConnectionResetError):  # the client gave up waiting
                self.close_connection = True

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
