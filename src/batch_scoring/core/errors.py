"""The error a person can mend: bad input, a bad setting, a missing model. Bugs raise something else."""


class InputError(Exception):
    """One sentence that names the thing, its value, what was expected and what to do.

    The command line shows it as that one line, without a traceback, and exits with 1.
    """


class OvertakenError(InputError):
    """Another run has written meanwhile what this one was about to write: running again makes it good."""


FAILED = 1
# Another run was quicker: run it again, nothing is lost (EX_TEMPFAIL of sysexits.h).
OVERTAKEN = 75
