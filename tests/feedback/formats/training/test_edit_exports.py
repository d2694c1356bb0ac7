"""Edit pairs as demonstrations and preferences: what goes in, what is left out, and what TRL would read."""

from spanwise.feedback.edits import EditPair
from spanwise.feedback.formats.training.edit_exports import demonstrations_of, preferences_of
from spanwise.feedback.prompts import DemonstrationRecord, build_prompt
from spanwise.feedback.schema import Passage

PASSAGE = Passage(title="Ada", sentences=("Ada was born in Oslo.",))
GOOD = EditPair(id="a", prompt="Where?", passages=(PASSAGE,), original="In Bergen.", edited="In Oslo.")
SAME = GOOD.model_copy(update={"id": "b", "edited": "In Bergen."})
BLANK = GOOD.model_copy(update={"id": "c", "edited": " "})
UNASKED = GOOD.model_copy(update={"id": "d", "prompt": ""})


def test_edited_answers_become_demonstrations_and_an_unchanged_one_counts_as_approved():
    found = demonstrations_of([GOOD, SAME, BLANK, UNASKED])
    wanted = DemonstrationRecord(id="a", prompt="Where?", passages=(PASSAGE,), completion="In Oslo.")
    assert found.records == [wanted, wanted.model_copy(update={"id": "b", "completion": "In Bergen."})]
    assert found.left_out == {"empty edit": 1, "no prompt": 1}


def test_preferences_have_the_input_of_the_policy_and_the_edit_chosen():
    found = preferences_of([GOOD, SAME, BLANK, UNASKED])
    (record,) = found.records
    assert record.model_dump() == {
        "prompt": build_prompt("Where?", [PASSAGE]),
        "chosen": " In Oslo.",
        "rejected": " In Bergen.",
    }
    assert found.left_out == {"identical": 1, "empty edit": 1, "no prompt": 1}
