"""Whether the process that started a run still lives."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from batch_scoring.core import processes
from batch_scoring.core.errors import InputError
from batch_scoring.core.processes import (
    arguments_of,
    host,
    is_alive,
    process,
    require_process_groups,
    usable_cores,
)


def test_this_process_is_alive_and_one_that_ended_is_not():
    code = "from batch_scoring.core.processes import *; print(process())"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert is_alive(process())
    assert not is_alive(ended.stdout.strip())


def test_another_process_with_the_id_of_a_dead_one_is_not_taken_for_it():
    pid, boot, ticks = process().split()

    assert not is_alive(f"{pid} {boot} {int(ticks) - 1}")
    assert not is_alive(f"{pid} another-boot {ticks}")


def test_a_process_of_another_user_is_alive_too():
    text = f"1 {processes._started(1)}"
    assert is_alive(text)
    assert not is_alive(f"{text}0")


def test_a_run_without_a_process_has_no_living_one():
    assert not is_alive("")


def test_without_proc_psutil_tells_of_processes(monkeypatch, tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    monkeypatch.setattr(processes, "_PROC", tmp_path / "none")
    pid, started = process().split()
    late = f"{ended.pid} {processes._started(ended.pid)}"
    ended.wait()

    assert is_alive(process())
    assert not is_alive(f"{pid} {float(started) - 1}")
    assert not is_alive(late)
    assert host().endswith(" pid")
    assert Path(arguments_of(os.getpid())[0]).name == Path(sys.executable).name
    assert arguments_of(ended.pid) == []


def test_the_command_line_of_a_process_is_that_it_was_started_with():
    command = [sys.executable, "-c", "print(flush=True); input()", "a job"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as one:
        assert one.stdout is not None
        one.stdout.readline()
        assert arguments_of(one.pid)[: len(command)] == command
        one.kill()
    assert arguments_of(one.pid) == []


def test_a_process_uses_the_cores_it_may(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3}, raising=False)
    assert usable_cores() == 1
    monkeypatch.delattr(os, "sched_getaffinity")
    assert usable_cores() == os.cpu_count()


def test_without_process_groups_an_engine_that_needs_them_says_so(monkeypatch):
    require_process_groups("jobs.backend: local")
    monkeypatch.delattr(os, "killpg")
    with pytest.raises(InputError, match=r"jobs\.backend: local needs Linux or macOS; under Windows, use"):
        require_process_groups("jobs.backend: local")
