"""A loopback server that speaks the two judge protocols, for tests: what it says is scripted, what it heard is kept."""

import contextlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class JudgeServer(ThreadingHTTPServer):
    """`answer(prompt, count)` gives (status, body) or (status, body, headers) for the count-th request, from 1."""

    daemon_threads = True

    def __init__(self, answer):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer, self.prompts, self.bodies, self.headers, self.lock = answer, [], [], [], threading.Lock()
        self.under_way = self.most_under_way = 0

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        prompt = body["messages"][0]["content"] if "messages" in body else ""
        with self.server.lock:
            self.server.prompts.append(prompt)
            self.server.bodies.append(body)
            self.server.headers.append({key.lower(): value for key, value in self.headers.items()})
            count = len(self.server.prompts)
            self.server.under_way += 1
            self.server.most_under_way = max(self.server.most_under_way, self.server.under_way)
        status, content, *more = self.server.answer(prompt, count)
        with self.server.lock:
            self.server.under_way -= 1
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        with contextlib.suppress(OSError):  # the client may have given up
            self.send_response(status)
            for key, value in {"Content-Type": "application/json", **(more[0] if more else {})}.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    def log_message(self, *words):
        """Says nothing."""


@contextlib.contextmanager
def serving(answer):
    """A running server; stopped behind the block."""
    with JudgeServer(answer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join(timeout=5)


def completion(text, logprobs=None):
    """A chat completion of OpenAI's protocol."""
    top = [{"token": token, "logprob": value, "bytes": None} for token, value in (logprobs or {}).items()]
    listed = {"content": [{**top[0], "top_logprobs": top}], "refusal": None} if top else None
    message = {"role": "assistant", "content": text, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": listed, "finish_reason": "stop"}
    usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
    head = {"id": "x", "object": "chat.completion", "created": 0, "model": "m"}
    return 200, {**head, "choices": [choice], "usage": usage}


def message(text):
    """A message of Anthropic's protocol."""
    usage = {"input_tokens": 100, "output_tokens": 10}
    head = {"id": "x", "type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn"}
    return 200, {**head, "stop_sequence": None, "content": [{"type": "text", "text": text}], "usage": usage}


def slow(seconds, reply):
    """The reply after a pause."""
    time.sleep(seconds)
    return reply
