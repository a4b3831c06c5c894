"""Errors that a user can correct: bad input, a bad setting, a missing model. Bugs raise other errors."""

from batch_scoring.core.text import printable


class InputError(Exception):
    """An error in one sentence: the setting or file, its value, what was expected and what to do.

    The command line shows this line without a traceback and exits with 1. Line breaks in ids, paths and
    reasons that libraries give are escaped.

    Examples
    --------
    >>> len(str(InputError("a" + chr(10) + "b.csv: this file is empty")).splitlines())
    1
    """

    def __init__(self, sentence: str) -> None:
        super().__init__(printable(sentence))


class ConflictError(InputError):
    """Another run wrote the same file first; nothing is lost, run again."""


class MachineError(InputError):
    """The machine is in trouble, such as a full disk; no other input or setting helps."""


class CapacityError(InputError):
    """There are no machines to work on, as where a quota is used up; the same may do later."""


FAILED = 1
# No machines to work on (EX_UNAVAILABLE of sysexits.h).
NO_CAPACITY = 69
# Another run wrote first: repeat the run, nothing is lost (EX_TEMPFAIL of sysexits.h).
CONFLICT = 75
