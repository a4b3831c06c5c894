"""A call has a deadline, and none is waited for where no thread can run."""

import subprocess
import sys

AT_THE_END = """
from batch_scoring.core.deadline import call_within

def held():
    try:
        yield
    finally:
        call_within(60, lambda: print("closed", flush=True))

class Cycle:
    pass  # what is only found to be garbage at the end

one = Cycle()
one.itself, one.held = one, held()
next(one.held)
"""


def test_what_is_closed_at_the_end_of_the_process_is_called_at_once():
    done = subprocess.run(
        [sys.executable, "-c", AT_THE_END], capture_output=True, text=True, timeout=300, check=False
    )
    assert (done.returncode, done.stdout) == (0, "closed\n"), done.stderr
