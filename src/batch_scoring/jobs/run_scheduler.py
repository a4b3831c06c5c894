"""Run the scheduler as a container does: ``kedro jobs submit``, its whole output kept in the workspace.

The workflow sees the last lines only, and the container is deleted after the run.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime

from batch_scoring.cloud.credentials import await_identity
from batch_scoring.core.errors import InputError
from batch_scoring.jobs.run_job import run_child
from batch_scoring.jobs.specs import JOBS_FOLDER
from batch_scoring.storage import join, open_folder

# Beside the folders of runs.
FOLDER = "schedulers"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``kedro jobs submit`` with these arguments; return its exit code."""
    began = datetime.now(UTC)
    given = list(sys.argv[1:] if arguments is None else arguments)
    code, output = run_child(["-m", "kedro", "jobs", "submit", *given])
    data = os.environ.get("BATCH_SCORING_DATA")
    if data:
        keep_log(data, began, output)
    return code


def keep_log(data: str, began: datetime, output: bytes) -> str:
    """Keep the output of a scheduler in a workspace; return its name there.

    A log that cannot be kept is said, and changes no exit code.

    Parameters
    ----------
    data : str
        The workspace.
    began : datetime
        UTC; the name has it, and this machine.
    output : bytes
    """
    name = f"{began:%Y%m%dt%H%M%Sz}-{socket.gethostname()}.log"
    try:
        await_identity()
        with open_folder(join(data, JOBS_FOLDER, FOLDER)).writing(name) as file:
            file.write(output)
    except (InputError, OSError) as error:
        with suppress(OSError):
            print(f"the scheduler's log is not kept: {error}", file=sys.stderr)
    return name


if __name__ == "__main__":
    sys.exit(main())
