"""The rows of what trainers read in the table of formats."""

from spanwise.feedback.formats.contract import Format
from spanwise.feedback.formats.training import dialogues, edit_exports, trl

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
        name="trl-prompts",
        sentence="TRL's prompts without an answer; `spanwise generate` and `rl` read them",
        holds=("answers",),
        write=trl.write_prompts,
        cannot_keep="all but the prompt, each once",
    ),
    Format(
        name="trl-completion",
        sentence="TRL's prompts with a completion, or messages that end with one; `spanwise sft` reads them too",
        holds=("answers",),
        read=trl.read_completion,
    ),
    Format(
        name="trl-preference",
        sentence="TRL's preferences, plain or as messages: every decided pair, and corrections",
        holds=("edits", "preferences"),
        read=trl.read_preference,
        write=trl.write_preference,
        cannot_keep="ties, pairs of equal texts, marks",
    ),
    Format(
        name="trl-unpaired",
        sentence="TRL's labels of whole answers, read as ratings; true for marked ones without error and gap",
        holds=("marks", "ratings"),
        read=trl.read_unpaired,
        write=trl.write_unpaired,
        cannot_keep="responses that nobody marked or labelled, places and categories, edits, preferences",
    ),
    Format(
        name="trl-stepwise",
        sentence="TRL's stepwise labels: steps, or sub-sentences of marked responses, and whether a mark touches them",
        holds=("marks",),
        read=trl.read_stepwise,
        write=trl.write_stepwise,
        cannot_keep="responses that nobody marked, places and categories, edits, preferences",
    ),
    Format(
        name="hh-rlhf",
        sentence="transcripts of Human: and Assistant:, chosen and rejected, as Anthropic's hh-rlhf has them",
        holds=("edits", "preferences"),
        read=dialogues.read_hh,
        write=dialogues.write_hh,
        cannot_keep="ties, pairs of equal texts, marks, other turns than of a human and an assistant",
    ),
    Format(
        name="sharegpt",
        sentence="ShareGPT's conversations (from, value), also with chosen and rejected or a kto_tag",
        holds=("edits", "preferences", "ratings", "answers"),
        read=dialogues.read_sharegpt,
        write=dialogues.write_sharegpt,
        cannot_keep="responses that nobody corrected; all but turns and corrected answer",
    ),
    Format(
        name="alpaca",
        sentence="Alpaca's instruction, input and output, also with chosen and rejected or a kto_tag",
        holds=("edits", "preferences", "ratings", "answers"),
        read=dialogues.read_alpaca,
        write=dialogues.write_alpaca,
        cannot_keep="responses that nobody corrected; all but prompt, passages and corrected answer",
    ),
)
