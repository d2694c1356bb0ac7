"""What the annotation backend refuses, and why: one class per thing that a page has to tell its reader.

They know nothing of HTTP; the web layer gives each its status.
"""

from typing import TYPE_CHECKING, Literal

from spanwise.core import DataError, SpanwiseError

if TYPE_CHECKING:
    from spanwise.annotate.store.body import BodyProblem, Draft


class UnknownError(SpanwiseError, LookupError):
    """There is no such item, annotation, user or batch."""


class AccessError(SpanwiseError, PermissionError):
    """The user's role may not do this."""


class LeaseError(SpanwiseError, RuntimeError):
    """The lease is not, or no longer, the user's."""

    def __init__(self, message: str, reason: Literal["taken", "unknown"]) -> None:
        super().__init__(message)
        self.reason = reason


class DraftConflictError(SpanwiseError, RuntimeError):
    """Another tab saved a newer draft; `current` is that one."""

    def __init__(self, current: "Draft") -> None:
        super().__init__(f"Another tab saved revision {current.rev} of this draft; keep yours or take the other.")
        self.current = current


class SubmissionError(DataError):
    """The submitted body is not valid; `problems` says where and why."""

    def __init__(self, problems: "tuple[BodyProblem, ...]") -> None:
        super().__init__("; ".join(f"{problem.place}: {problem.reason}" for problem in problems))
        self.problems = problems


class StorageError(SpanwiseError, OSError):
    """The disk refused to store something; nothing of it was stored."""


class BusyError(SpanwiseError, TimeoutError):
    """The database is held by somebody else or does not answer; nothing was stored, and it may be tried again."""


class DamageError(SpanwiseError, OSError):
    """The database's file is damaged."""


class LoginError(SpanwiseError, PermissionError):
    """The name or password is wrong, or there were too many tries: then `retry_after` says how many seconds to wait."""

    def __init__(self, message: str, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after
