import pytest

from spanwise.core.errors import ConfigError
from spanwise.feedback.schema import Passage
from spanwise.llm.editors.config import EditorConfig
from spanwise.llm.editors.prompting import EditTask, load_prompt


def config(**changes):
    endpoint = {"provider": "openai", "model": "m", "base_url": "http://127.0.0.1:1/v1"}
    return EditorConfig.model_validate({"responses": "in.jsonl", "output": "out.jsonl", "endpoint": endpoint} | changes)


@pytest.mark.parametrize("mode", ["operations", "rewrite"])
def test_the_prompt_holds_task_sources_and_response_as_they_are(mode):
    task = EditTask(
        prompt="why {{response}}?", response="because {x}", passages=(Passage(title="T", sentences=("s.",)),)
    )
    request = load_prompt(config(mode=mode)).request(task, config(mode=mode))
    ((role, text),) = request.messages
    assert role == "user"
    assert all(part in text for part in ("why {{response}}?", "because {x}", "T: s."))
    assert "{{" not in text.replace("why {{response}}?", "")
    assert (request.schema is not None) == (mode == "operations")
    without = load_prompt(config()).request(EditTask(prompt="p", response="r"), config()).messages[0][1]
    assert "Sources" not in without


def test_a_second_attempt_quotes_the_first():
    task = EditTask(prompt="p", response="r")
    request = load_prompt(config()).request(task, config(), [("what I said", "what was wrong")])
    assert request.messages[1:] == (("assistant", "what I said"), ("user", "what was wrong"))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("only one part {{response}}", "no line '=== user ==='"),
        ("s\n=== user ===\n{{answer}} {{response}}", "no place {{answer}}"),
        ("s\n=== user ===\n{{prompt}}", "needs the place {{response}}"),
    ],
)
def test_a_file_that_is_no_prompt_is_refused(tmp_path, text, reason):
    path = tmp_path / "mine.txt"
    path.write_text(text)
    with pytest.raises(ConfigError, match=reason):
        load_prompt(config(prompt_file=str(path)))


def test_another_prompt_has_another_hash(tmp_path):
    path = tmp_path / "mine.txt"
    path.write_text("Be kind.\n=== user ===\nEdit: {{response}}")
    mine = load_prompt(config(prompt_file=str(path)))
    assert (mine.file.system, mine.file.user) == ("Be kind.", "Edit: {{response}}")
    assert mine.file.sha256 != load_prompt(config()).file.sha256
