"""One process at a time holds a lock, on every system, and none keeps it after its end."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from batch_scoring.core import locks
from batch_scoring.core.locks import locked

HOLD = """
import pathlib, sys, time
from batch_scoring.core.locks import locked
with locked(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture(params=["flock", "filelock"])
def kind(request, monkeypatch):
    """The lock of Linux and macOS, and that of Windows."""
    if request.param == "filelock":
        monkeypatch.setattr(locks, "_flock", None)


@pytest.mark.usefixtures("kind")
def test_a_lock_that_is_held_is_refused_and_free_again_after_the_block(tmp_path):
    path = tmp_path / "a.lock"
    for _ in range(2):
        with locked(path), pytest.raises(BlockingIOError), locked(path):
            pytest.fail("two hold it")


@pytest.mark.usefixtures("kind")
def test_of_many_that_wait_one_at_a_time_holds_it(tmp_path):
    inside, most = threading.Semaphore(1), []

    def work(_: int) -> None:
        with locked(tmp_path / "a.lock", wait=True):
            most.append(inside.acquire(blocking=False))
            inside.release()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(100)))
    assert most == [True] * 100


def test_a_lock_leaves_no_file(tmp_path):
    with pytest.raises(ValueError, match="x"), locked(tmp_path / "a.lock"):
        raise ValueError("x")
    assert list(tmp_path.iterdir()) == []


def test_the_lock_of_a_killed_process_is_free(tmp_path):
    path = tmp_path / "a.lock"
    with subprocess.Popen([sys.executable, "-c", HOLD, path], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(BlockingIOError), locked(path):
            pytest.fail("two hold it")
        other.send_signal(signal.SIGKILL)
    with locked(path):
        pass


def test_a_lock_whose_file_its_owner_removed_meanwhile_is_taken_anew(tmp_path, monkeypatch):
    """The second opened the file just before the first removed it."""
    path, flock, tries = tmp_path / "a.lock", locks._flock, []

    def late(file, how):
        tries.append(how)
        if len(tries) == 1:
            path.unlink()
        flock(file, how)

    monkeypatch.setattr(locks, "_flock", late)
    with locked(path):
        assert path.exists()
    assert len(tries) == 2
