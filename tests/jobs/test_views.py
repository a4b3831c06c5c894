"""What is to be seen of a run: counts, changes, lines, and a screen that fits."""

import io
from datetime import UTC, datetime, timedelta

from rich.console import Console

from batch_scoring.core.text import last_lines
from batch_scoring.jobs.specs import JobStatus, NodeCounts, State
from batch_scoring.jobs.views import View, changed, job_line, summary, view_json
from batch_scoring.jobs.watch import FAILED_SHOWN, RUNNING_SHOWN, screen

NOW = datetime(2026, 11, 22, 10, 5, tzinfo=UTC)
RUN = "score-20261122t100000z"


def job(name, state=State.RUNNING, seconds=60, **more):
    began = NOW - timedelta(seconds=seconds)
    ended = NOW if state.is_final else None
    return JobStatus(name, state, started=began, ended=ended, changed=ended or began, **more)


def view(*jobs, planned=(), nodes=None):
    names = dict.fromkeys([*(one.name for one in jobs), *planned])
    return View(RUN, "memory", tuple(names), {one.name: one for one in jobs}, nodes)


def drawn(what, logs=None):
    console = Console(file=io.StringIO(), width=80, color_system=None)
    console.print(screen(what, logs or {}, NOW))
    return console.file.getvalue()


def test_every_planned_job_is_counted_once():
    now = view(job("a"), job("b", State.SUCCEEDED), job("c", State.FAILED), planned=["a", "d", "e"])
    assert now.counts == {"running": 1, "planned": 2, "succeeded": 1, "failed": 1}
    assert sum(now.counts.values()) == len(now.planned)


def test_a_run_is_over_when_every_planned_job_has_ended():
    assert view(job("a", State.SUCCEEDED), job("b", State.FAILED)).is_over
    assert not view(job("a", State.SUCCEEDED), job("b")).is_over
    assert not view(job("a", State.SUCCEEDED), planned=["b"]).is_over


def test_what_changed_is_told_in_the_order_in_which_it_did():
    before = view(job("a", seconds=9), job("b", State.QUEUED), job("c", State.QUEUED))
    now = view(job("a", seconds=9), job("b", seconds=1), job("c", seconds=2), job("d", seconds=3))
    assert [one.name for one in changed(before, now)] == ["d", "c", "b"]
    assert changed(now, now) == []


def test_the_slowest_of_the_running_come_first():
    now = view(job("a", seconds=1), job("b", seconds=3), job("c", seconds=2), job("d", State.FAILED, 9))
    assert [one.name for one in now.slowest(NOW, 2)] == ["b", "c"]


def test_a_job_in_a_line_says_what_matters():
    assert job_line(job("a", node="n1"), NOW) == "a running on n1"
    assert job_line(job("a", State.FAILED, 75, reason="no model"), NOW) == "a failed after 1 m 15 s: no model"


def test_the_screen_shows_nodes_the_slowest_and_why_jobs_failed():
    now = view(
        *(job("slow", seconds=90, node="n1"), job("bad", State.FAILED, reason="no published model")),
        planned=["later"],
        nodes=NodeCounts(idle=1, running=2, unusable=1),
    )
    text = drawn(now, {"bad": ["read 7 files"]})
    assert f"{RUN} on memory, 3 jobs" in text
    assert "4 nodes: 1 idle, 2 running, 1 unusable" in text
    assert "1 running  1 planned  1 failed" in text
    assert "slow     1 m 30 s  n1" in text
    assert "bad  no published model\n  read 7 files" in text


def test_the_screen_of_a_thousand_jobs_fits_a_terminal():
    jobs = [job(f"j{n}", State.FAILED if n % 2 else State.RUNNING, reason="why") for n in range(1000)]
    lines = drawn(view(*jobs)).splitlines()
    assert len(lines) < RUNNING_SHOWN + FAILED_SHOWN + 10
    assert "failed (the latest 5 of 500)" in lines
    assert any(line.startswith("running (the slowest of 500)") for line in lines)


def test_the_bar_is_as_wide_as_the_jobs_that_have_ended():
    text = drawn(view(job("a", State.SUCCEEDED), planned=["b", "c"]))
    assert (text.count("█"), text.count("░")) == (10, 20)


def test_a_summary_says_the_same_to_people_and_machines():
    now = view(job("a", State.SUCCEEDED), planned=["b"], nodes=NodeCounts(idle=1))
    assert summary(now) == f"{RUN} on memory, 2 jobs: 1 planned, 1 succeeded"
    told = view_json(now)
    assert (told["run"], told["jobs"], told["ended"]) == (RUN, 2, False)
    assert told["states"] == {"planned": 1, "succeeded": 1}
    assert told["nodes"]["idle"] == 1


def test_a_log_ends_with_its_last_lines_that_say_something():
    assert last_lines("a\nb\n\nc\n\n", 2) == ["b", "c"]
    assert last_lines(None, 2) == []


def test_a_status_is_read_back_as_it_was_written():
    one = job("a", State.FAILED, reason="why", exit_code=1, node="n")
    assert JobStatus.from_json(one.to_json()) == one
