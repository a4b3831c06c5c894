"""Whether the process that started a run still lives."""

from __future__ import annotations

import os
import subprocess
import sys

from batch_scoring.core import processes
from batch_scoring.core.processes import host, is_alive, process


def test_this_process_is_alive_and_one_that_ended_is_not():
    code = "from batch_scoring.core.processes import *; print(process())"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert is_alive(process())
    assert not is_alive(ended.stdout.strip())


def test_another_process_with_the_id_of_a_dead_one_is_not_taken_for_it():
    pid, boot, ticks = process().split()

    assert not is_alive(f"{pid} {boot} {int(ticks) - 1}")
    assert not is_alive(f"{pid} another-boot {ticks}")


def test_a_process_of_another_user_is_alive_too(monkeypatch):
    def refuse(pid: int, signal: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", refuse)
    assert is_alive(process())


def test_a_run_without_a_process_has_no_living_one():
    assert not is_alive("")


def test_without_proc_the_id_alone_decides(monkeypatch, tmp_path):
    monkeypatch.setattr(processes, "_PROC", tmp_path)

    assert process() == f"{os.getpid()} "
    assert is_alive(process())
    assert host().endswith(" pid")
