"""``kedro`` commands that fail or are killed at a call that writes, by a preloaded library in C."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from functools import cache
from itertools import groupby
from pathlib import Path

import pytest

from tests.end_to_end.warm_kedro import WarmKedro

SOURCE = Path(__file__).with_name("faults.c")
# In place of an error's number.
KILL = 0


def compile_faults(folder: Path) -> Path:
    """The library in a folder, compiled if need be; the test is skipped where there is no compiler."""
    library = folder / "faults.so"
    if library.exists():
        return library
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler: faults cannot be injected")
    options = ("-Wall", "-Werror", "-O1", "-shared", "-fPIC")
    command = [compiler, *options, str(SOURCE), "-o", str(library), "-ldl"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return library


class FaultyKedro:
    """``kedro`` commands whose calls that write below a folder are counted, and of which one can fail.

    Parameters
    ----------
    library : Path
        The compiled library.
    """

    def __init__(self, library: Path) -> None:
        self._kedro = WarmKedro({"LD_PRELOAD": str(library)})

    def count(self, below: Path, arguments: Sequence[str]) -> list[str]:
        """Run a command; its calls that write below a folder, each with its name and the file."""
        log = below.parent / f"{below.name}.calls"
        code, output = self._kedro.run(arguments, _variables(below, FAULTS_LOG=str(log)))
        assert code == 0, output
        return log.read_text().splitlines()

    def run(self, below: Path, arguments: Sequence[str], call: int = 0, error: int = KILL) -> tuple[int, str]:
        """Run a command whose call of this number, from 1, fails; its exit code and what it printed."""
        return self._kedro.run(arguments, _variables(below, FAULTS_AT=str(call), FAULTS_ERRNO=str(error)))


@cache
def faulty_kedro(folder: Path) -> FaultyKedro:
    """The one of this process and folder."""
    return FaultyKedro(compile_faults(folder))


def write_points(calls: Sequence[str]) -> list[int]:
    """The numbers of calls, from 1; of a series of the same call on one file the first and the last."""
    points: list[int] = []
    end = 0
    for _, same in groupby(calls):
        start, end = end + 1, end + len(list(same))
        points += sorted({start, end})
    return points


def _variables(below: Path, **more: str) -> dict[str, str]:
    """Variables for the library; temporary files lie below the folder, too."""
    temporary = below / "tmp"
    temporary.mkdir(exist_ok=True)
    return {"FAULTS_BELOW": f"{below}{os.sep}", "TMPDIR": str(temporary), **more}
