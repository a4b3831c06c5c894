"""A run whose standard streams are closed, as by `2>&-`, writes no message into a file of its own."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
from batch_scoring.core.streams import is_terminal, open_closed_streams
open_closed_streams()
with open(__file__) as file:
    taken = file.fileno()
import os
os.write({left}, f"{{taken}} {{is_terminal()}} {{[os.get_inheritable(n) for n in range(3)]}}".encode())
"""


@pytest.mark.skipif(os.name == "nt", reason="closes descriptors by a shell")
@pytest.mark.parametrize(("closed", "left"), [("2>&-", 1), ("<&- >&-", 2), ("", 1)])
def test_closed_streams_are_open_at_nothing(tmp_path, closed, left):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM.format(left=left))
    command = f'"{sys.executable}" "{program}" {closed}'
    done = subprocess.run(command, shell=True, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    assert (done.stdout + done.stderr).decode() == "3 False [True, True, True]"
