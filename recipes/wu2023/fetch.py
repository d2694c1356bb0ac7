"""Gets the authors' files of QA-Feedback and checks them against the tree of their repository.

    python -m recipes.wu2023.fetch --out runs/wu2023/upstream

Needs the network and some 60 MB. With files that lie there already, perhaps as .gz, it only checks them.
"""

from recipes.lib.upstream import UpstreamFile, fetch_by_command

COMMIT = "a1469d4eba0b3754bcb343beb88f0aca24bf4848"
"""Of allenai/FineGrainedRLHF, Apache-2.0."""
FOLDER = f"https://raw.githubusercontent.com/allenai/FineGrainedRLHF/{COMMIT}/tasks/qa_feedback/data"
BLOBS = {
    "train.json": "73bc80853de76808bbdefdc43d35c7d7957830ef",
    "train_1k.json": "6e5f4de896c251aeb8e1276ae4d5c36e4991deab",
    "train_feedback.json": "10a5469b8f73f9b276c86f911acc4d2336b076bc",
    "dev.json": "759cbff66d8975b779434306356a0272570eb0ac",
    "dev_feedback.json": "6b6efddd2daf0d17c917f7773435b357b172d5c9",
    "test.json": "24f7eb93a84c994e5101c7ce6ec83ec591a191eb",
}
"""The upstream names with the ids that the tree of that commit gives their content."""
FILES = tuple(UpstreamFile(name, f"{FOLDER}/{name}", blob) for name, blob in BLOBS.items())


if __name__ == "__main__":
    fetch_by_command(FILES, __doc__, "of the authors")
