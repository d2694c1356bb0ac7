"""`spanwise push` against a small server that speaks the Hub's protocol, and its refusals."""

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from doubles import models as doubles
from huggingface_hub import HfApi
from typer.testing import CliRunner

from spanwise.cli import share
from spanwise.cli.share import app
from spanwise.core.errors import CheckpointError, DataError
from spanwise.models import Policy


class Hub(BaseHTTPRequestHandler):
    """Takes repositories and commits with small files; `server.seen` holds what came."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.seen.append((self.path, body))
        if self.server.refuse:
            return self._answer(403, {"error": "not yours"})
        if self.path == "/api/repos/create":
            return self._answer(200, {"url": f"{self.server.url}/me/model"})
        if self.path == "/api/validate-yaml":
            return self._answer(200, {"warnings": [], "errors": []})
        if self.path.endswith("/preupload/main"):
            names = [one["path"] for one in json.loads(body)["files"]]
            files = [{"path": name, "uploadMode": "regular", "shouldIgnore": False} for name in names]
            return self._answer(200, {"files": files})
        if self.path.endswith("/commit/main"):
            return self._answer(200, {"commitUrl": f"{self.server.url}/me/model/commit/1", "commitOid": "1" * 40})
        return self._answer(404, {"error": self.path})

    def do_GET(self):
        self.do_POST()

    def _answer(self, status, value):
        content = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        """Keeps quiet."""


@pytest.fixture(name="hub")
def local_hub(monkeypatch):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.seen, server.refuse = [], False
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)  # make test sets it; this hub is here
    monkeypatch.setattr(share, "_api", lambda: HfApi(endpoint=server.url, token="hf_test"))
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(name="run")
def run_with_a_checkpoint(tmp_path):
    folder = tmp_path / "run"
    Policy(*doubles.tiny_llama()).save(folder / "checkpoints" / "best")
    (folder / "config.yaml").write_text("policy: gpt2\nsteps: 2\n")
    (folder / "metrics.jsonl").write_text('{"step": 0, "eval/reward/total": 1.5}\n')
    (folder / "samples.jsonl").write_text('{"step": 0, "prompt": "secret", "response": "secret"}\n')
    return folder


def invoke(*words):
    result = CliRunner().invoke(app, ["push", *map(str, words)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.stdout


def committed(hub):
    """File contents by name, as the last commit brought them."""
    body = next(body for path, body in reversed(hub.seen) if path.endswith("/commit/main"))
    parts = [json.loads(line) for line in body.splitlines()]
    return {one["value"]["path"]: base64.b64decode(one["value"]["content"]) for one in parts if one["key"] == "file"}


def test_everything_arrives_in_one_commit_with_a_card_and_without_samples(hub, run):
    told = json.loads(invoke(run, "me/model", "--json"))
    assert told["pushed"]
    assert told["commit"].endswith("/me/model/commit/1")
    files = committed(hub)
    assert set(files) == set(told["files"])
    best = run / "checkpoints" / "best"
    assert files["model.safetensors"] == (best / "model.safetensors").read_bytes()
    assert files["config.json"] == (best / "config.json").read_bytes()
    assert b"1.5" in files["README.md"]
    assert b"base_model: gpt2" in files["README.md"]
    assert files["spanwise/metrics.jsonl"] == (run / "metrics.jsonl").read_bytes()
    assert not any(b"secret" in content for content in files.values())
    assert [path for path, _ in hub.seen].count("/api/models/me/model/commit/main") == 1


def test_a_dry_run_lists_the_same_files_and_asks_nobody(hub, run):
    dry = json.loads(invoke(run, "me/model", "--dry-run", "--json"))
    assert not hub.seen
    assert not dry["pushed"]
    wet = json.loads(invoke(run, "me/model", "--json"))
    assert dry["files"] == wet["files"]
    assert "Would push" in invoke(run, "me/model", "--dry-run")


def test_the_start_policy_is_pushed_only_where_that_is_asked_for(hub, run):
    (run / "metrics.jsonl").write_text(
        '{"step": 0, "eval/reward/total": 1.5}\n{"step": 2, "eval/reward/total": 1.25}\n'
    )
    with pytest.raises(DataError, match=r"nothing was learned: the best checkpoint is the start policy; .*--unlearned"):
        invoke(run, "me/model")
    assert not hub.seen
    invoke(run, "me/model", "--unlearned")
    assert b"Nothing was learned: the best checkpoint is the start policy." in committed(hub)["README.md"]


def test_a_refusal_of_the_hub_is_one_sentence(hub, run):
    hub.refuse = True
    with pytest.raises(DataError, match="refused to take me/model"):
        invoke(run, "me/model")


def test_no_network_is_one_sentence(run, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)  # make test sets it; this hub is here
    monkeypatch.setattr(share, "_api", lambda: HfApi(endpoint="http://127.0.0.1:9", token="hf_test"))
    with pytest.raises(DataError, match=r"127\.0\.0\.1:9 cannot be reached.*--dry-run"):
        invoke(run, "me/model")


def test_what_is_no_checkpoint_or_no_name_is_refused(run, tmp_path):
    with pytest.raises(CheckpointError, match="'last'"):
        invoke(run, "me/model", "--checkpoint", "last", "--dry-run")
    (run / "checkpoints" / "best" / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="no weights"):
        invoke(run, "me/model", "--dry-run")
    with pytest.raises(CheckpointError, match=r"no config\.json"):
        invoke(tmp_path, "me/model", "--dry-run")


def test_a_name_that_cannot_be_one_is_refused(run):
    with pytest.raises(DataError, match="OWNER/NAME"):
        invoke(run, "a/b/c", "--dry-run")
