"""The study `qa_feedback`."""
