"""Run the scheduler as a container does: ``kedro jobs submit``, its whole output kept in the workspace.

A workflow sees the last lines only and deletes the container; a log workspace keeps lines for some weeks.
"""

from __future__ import annotations

import os
import re
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from batch_scoring.cloud.credentials import await_identity
from batch_scoring.core.errors import InputError
from batch_scoring.core.moments import EPOCH, as_text
from batch_scoring.jobs.run_job import run_child
from batch_scoring.jobs.specs import JOBS_FOLDER
from batch_scoring.storage import join, open_folder

# Beside the folders of runs.
FOLDER = "schedulers"
# The variable that Container Apps gives the containers of jobs.
EXECUTION = "CONTAINER_APP_JOB_EXECUTION_NAME"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``kedro jobs submit`` with these arguments; return its exit code."""
    began = datetime.now(UTC)
    given = list(sys.argv[1:] if arguments is None else arguments)
    scheduled = scheduled_time(os.environ.get(EXECUTION, ""), began)
    if scheduled is not None and "--at" not in given:
        given += ["--at", as_text(scheduled)]
    code, output = run_child(["-m", "kedro", "jobs", "submit", *given])
    # Alerts of the deployment look for this line.
    last = f"scheduler ended with exit code {code}"
    print(last, flush=True)
    output += f"{last}\n".encode()
    data = os.environ.get("BATCH_SCORING_DATA")
    if data:
        keep_log(data, began, output)
    return code


def scheduled_time(execution: str, now: datetime) -> datetime | None:
    """Return the time that an execution of a job with a cron is for; None if its name does not say it.

    The service names it after the job and the minutes since 1970, as the Kubernetes below it does. It does
    not promise that, so another name is not an error: the clock is read instead.

    Examples
    --------
    >>> now = datetime(2026, 1, 5, 10, 7, tzinfo=UTC)
    >>> scheduled_time("caj-plant-score-29460125", now)
    datetime.datetime(2026, 1, 5, 10, 5, tzinfo=datetime.timezone.utc)
    >>> scheduled_time("caj-plant-score-thp6far", now)
    """
    found = re.search(r"-(\d{8})$", execution)
    moment = EPOCH + timedelta(minutes=int(found[1])) if found else None
    return moment if moment is not None and moment <= now + timedelta(minutes=1) else None


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
