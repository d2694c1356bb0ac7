"""Gets AlpacaFarm's files from the Hugging Face Hub; no tree names their sums, so the first download is recorded.

    python -m recipes.xu2024.fetch --out runs/xu2024/upstream

Needs the network and some 40 MB. CC BY-NC 4.0. Run again, it only checks what lies there against `SHA256SUMS`.
"""

from recipes.lib.upstream import UpstreamFile, fetch_by_command

FOLDER = "https://huggingface.co/datasets/tatsu-lab/alpaca_farm/resolve/main"
NAMES = (
    "alpaca_instructions/sft.json",
    "alpaca_instructions/unlabeled.json",
    "alpaca_instructions/val.json",
    "alpaca_human_preference.json",
    "alpaca_farm_evaluation.json",
)
"""10k demonstrations, 20k prompts for RL, 2k to choose on, 9,691 human pairs, 805 prompts to judge on."""
FILES = tuple(UpstreamFile(name, f"{FOLDER}/{name}") for name in NAMES)


if __name__ == "__main__":
    fetch_by_command(FILES, __doc__, "that were first downloaded")
