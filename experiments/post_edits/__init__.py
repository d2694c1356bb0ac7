"""The study `post_edits`."""
