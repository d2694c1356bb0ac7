"""The rows of what trainers read in the table of formats."""

from spanwise.feedback.formats.contract import Format
from spanwise.feedback.formats.training import edit_exports, trl

TRAINING = (
    Format(
        name="demonstrations",
        sentence="edited answers to imitate, for `spanwise sft`",
        holds=("edits",),
        export_pairs=edit_exports.demonstrations_of,
        cannot_keep="all but prompt, passages and edited answer",
    ),
    Format(
        name="preferences",
        sentence="edits as prompt, chosen, rejected; completions begin with their blank, for TRL's DPO",
        holds=("edits",),
        export_pairs=edit_exports.preferences_of,
        cannot_keep="all but prompt and both answers; edits that change nothing",
    ),
    Format(
        name="trl-preference",
        sentence="TRL's preferences, plain or as messages, and hh-rlhf: every decided pair, and corrections",
        holds=("edits", "preferences"),
        read=trl.read_preference,
        write=trl.write_preference,
        cannot_keep="ties, pairs of equal texts, marks",
    ),
    Format(
        name="trl-unpaired",
        sentence="TRL's unpaired labels: whether a marked response is without error and gap",
        holds=("marks",),
        write=trl.write_unpaired,
        cannot_keep="responses that nobody marked, places and categories, edits, preferences",
    ),
    Format(
        name="trl-stepwise",
        sentence="TRL's stepwise labels: which sub-sentences of a marked response no mark touches",
        holds=("marks",),
        write=trl.write_stepwise,
        cannot_keep="responses that nobody marked, places and categories, edits, preferences",
    ),
)
