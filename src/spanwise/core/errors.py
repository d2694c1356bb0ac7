"""One error tree. Every message is a sentence that names the place and the remedy.

The command line turns a `SpanwiseError` into that sentence on stderr and exit code 2; anything else is a
defect of ours and keeps its traceback. Each class is also the built-in error that it refines, so that
callers who know nothing of Spanwise can catch it.
"""


class SpanwiseError(Exception):
    """Something the user can mend: the message says what and where."""


class ConfigError(SpanwiseError, ValueError):
    """A configuration file, key or combination of keys is wrong."""


class DataError(SpanwiseError, ValueError):
    """A data file, record or text is wrong."""


class SpanError(DataError):
    """A span lies outside its text, is reversed, or does not fit the unit that was asked for."""


class CheckpointError(SpanwiseError, ValueError):
    """A checkpoint is missing, damaged or of another kind than the command needs."""


class TrainingError(SpanwiseError, RuntimeError):
    """Training cannot go on: a gradient is not finite, or there is too little memory."""


class ScoringError(SpanwiseError, RuntimeError):
    """A reward source could not score a response, and the mixture was told to stop there."""
