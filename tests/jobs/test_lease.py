"""A turn is one process's at a time, and that of one that is gone is taken over."""

import json
import os
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta

import pytest

from batch_scoring.core.errors import InputError, OvertakenError
from batch_scoring.jobs import lease
from batch_scoring.jobs.lease import SILENCE, OneWriter
from batch_scoring.storage import open_folder

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
from batch_scoring.jobs.lease import OneWriter
from batch_scoring.storage import open_folder
for _ in range(5):
    with OneWriter(open_folder(sys.argv[1]), "a/turn.json", lambda _: time.sleep(0.01)):
        Path(sys.argv[1], "inside").mkdir()
        time.sleep(0.01)
        Path(sys.argv[1], "inside").rmdir()
"""


@pytest.mark.slow
def test_processes_have_it_one_after_the_other(folder):
    command = [sys.executable, "-c", WORK, folder.path()]
    processes = [subprocess.Popen(command) for _ in range(4)]
    assert [process.wait(60) for process in processes] == [0] * 4


class WaitedError(Exception):
    pass


def waited(_):
    raise WaitedError


def test_ten_threads_have_it_one_after_the_other(folder):
    inside, most, done = [], [], []

    def work():
        with OneWriter(folder, NAME, lambda _: threading.Event().wait(0.01)):
            inside.append(1)
            most.append(len(inside))
            threading.Event().wait(0.01)
            inside.pop()
        done.append(1)

    threads = [threading.Thread(target=work) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(done), max(most)) == (10, 1)


def test_somebody_elses_turn_is_waited_for(folder):
    taken(folder)
    with pytest.raises(WaitedError), OneWriter(folder, NAME, waited):
        pass


def test_the_turn_of_a_process_of_this_machine_that_is_gone_is_taken_at_once(folder):
    taken(folder, host=lease.process_identity.host(), process="999999 never")
    with OneWriter(folder, NAME, waited):
        pass


def test_the_turn_of_a_machine_that_is_silent_is_taken_after_a_while(folder):
    taken(folder, signed=datetime.now(UTC) - SILENCE + timedelta(seconds=20))
    with pytest.raises(WaitedError), OneWriter(folder, NAME, waited):
        pass
    taken(folder, signed=datetime.now(UTC) - SILENCE - timedelta(seconds=1))
    with OneWriter(folder, NAME, waited):
        pass


def test_the_turn_is_left_when_the_work_fails(folder):
    with pytest.raises(ZeroDivisionError), OneWriter(folder, NAME, waited):
        _ = 1 / 0
    with OneWriter(folder, NAME, waited):
        pass


def test_a_turn_is_left_although_another_one_is_just_trying_to_take_it(folder, monkeypatch):
    turn = OneWriter(folder, NAME, lambda _: None)
    replace, refusals = folder.replace, [OvertakenError("another run is writing this file now")] * 3

    def refused_thrice(*arguments):
        if refusals:
            raise refusals.pop()
        replace(*arguments)

    with turn:
        monkeypatch.setattr(folder, "replace", refused_thrice)
    assert refusals == []
    with OneWriter(folder, NAME, waited):
        pass


def test_who_was_silent_for_too_long_is_told(folder, monkeypatch):
    monkeypatch.setattr(lease, "_SECONDS_BETWEEN_SIGNS", 0.0)
    with OneWriter(folder, NAME, waited) as turn:
        turn.sign()
        taken(folder)
        os.utime(folder.path(NAME), (1, 1))
        with pytest.raises(InputError, match="another process took over"):
            turn.sign()
