"""One process at a time holds a lease; the lease of a process that is gone expires."""

import json
import os
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta

import pytest

from batch_scoring.core.errors import ConflictError, InputError
from batch_scoring.jobs import lease
from batch_scoring.jobs.lease import TTL, Lease
from batch_scoring.storage import open_folder
from tests.at_once import at_once

NAME = "a/turn.json"


@pytest.fixture
def folder(tmp_path):
    return open_folder(tmp_path)


def taken(folder, host="another machine", signed=None, process="1 1", over=False):
    signed = signed or datetime.now(UTC)
    text = {"host": host, "process": process, "pid": 1, "signed": signed.isoformat(), "over": over}
    with folder.writing(NAME) as file:
        file.write(json.dumps(text).encode())


WORK = """
import sys, time
from pathlib import Path
from batch_scoring.jobs.lease import Lease
from batch_scoring.storage import open_folder
for _ in range(5):
    with Lease(open_folder(sys.argv[1]), "a/turn.json", lambda _: time.sleep(0.01)):
        Path(sys.argv[1], "inside").mkdir()
        time.sleep(0.01)
        Path(sys.argv[1], "inside").rmdir()
"""


@pytest.mark.slow
def test_processes_have_it_one_after_the_other(folder):
    command = [sys.executable, "-c", WORK, folder.path()]
    processes = [subprocess.Popen(command) for _ in range(4)]
    assert [process.wait(300) for process in processes] == [0] * 4


class WaitedError(Exception):
    pass


def waited(_):
    raise WaitedError


def test_ten_threads_have_it_one_after_the_other(folder):
    inside, most = [], []

    def work():
        with Lease(folder, NAME, lambda _: threading.Event().wait(0.01)):
            inside.append(1)
            most.append(len(inside))
            threading.Event().wait(0.01)
            inside.pop()

    at_once(work, 10)
    assert (len(most), max(most)) == (10, 1)


def test_somebody_elses_turn_is_waited_for(folder):
    taken(folder)
    with pytest.raises(WaitedError), Lease(folder, NAME, waited):
        pass


def test_the_lease_of_a_process_of_this_machine_that_is_gone_is_taken_at_once(folder):
    taken(folder, host=lease.process_identity.host(), process="999999 never")
    with Lease(folder, NAME, waited):
        pass


def test_the_lease_of_a_silent_machine_expires(folder):
    taken(folder, signed=datetime.now(UTC) - TTL + timedelta(seconds=20))
    with pytest.raises(WaitedError), Lease(folder, NAME, waited):
        pass
    taken(folder, signed=datetime.now(UTC) - TTL - timedelta(seconds=1))
    with Lease(folder, NAME, waited):
        pass


def test_the_lease_is_left_when_the_work_fails(folder):
    with pytest.raises(ZeroDivisionError), Lease(folder, NAME, waited):
        _ = 1 / 0
    with Lease(folder, NAME, waited):
        pass


def test_a_lease_is_left_although_another_one_is_just_trying_to_take_it(folder, monkeypatch):
    held = Lease(folder, NAME, lambda _: None)
    replace, refusals = folder.replace, [ConflictError("another run is writing this file now")] * 3

    def refused_thrice(*arguments):
        if refusals:
            raise refusals.pop()
        replace(*arguments)

    with held:
        monkeypatch.setattr(folder, "replace", refused_thrice)
    assert refusals == []
    with Lease(folder, NAME, waited):
        pass


def test_a_holder_whose_lease_expired_gets_an_error(folder, monkeypatch):
    monkeypatch.setattr(lease, "_SECONDS_BETWEEN_RENEWALS", 0.0)
    with Lease(folder, NAME, waited) as held:
        held.renew()
        taken(folder)
        os.utime(folder.path(NAME), (1, 1))
        with pytest.raises(InputError, match="another process took over"):
            held.renew()
