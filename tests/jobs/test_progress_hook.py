"""A person at a terminal sees which node runs; a file and a pipe get no such lines."""

from __future__ import annotations

import os
import pty
import sys

import pytest
from kedro.pipeline import Node, Pipeline

from batch_scoring.jobs import progress_hook
from batch_scoring.jobs.progress_hook import NodeProgress

PIPELINE = Pipeline([Node(lambda: 1, None, name, name=f"make_{name}") for name in "ab"])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, ["node 1 of 2: make_a", "node 2 of 2: make_b"]),
        ({"only_missing_outputs": True}, ["node 1 of at most 2: make_a", "node 2 of at most 2: make_b"]),
    ],
)
def test_each_node_has_a_line_when_it_begins(capsys, options, expected):
    hook = NodeProgress()
    for _ in range(2):  # a session of Kedro may run more than once
        hook.before_pipeline_run(run_params=options, pipeline=PIPELINE)
        for node in PIPELINE.nodes:
            hook.before_node_run(node=node)
        printed = capsys.readouterr()
        assert (printed.out, printed.err.splitlines()) == ("", expected)


def test_another_process_counts_nothing(capsys):
    hook = NodeProgress()
    hook.before_pipeline_run(run_params={}, pipeline=PIPELINE)
    child = os.fork()
    if child == 0:
        hook.before_node_run(node=PIPELINE.nodes[0])
        os._exit(0)
    os.waitpid(child, 0)
    assert capsys.readouterr().err == ""


def test_lines_are_for_terminals_only(monkeypatch, tmp_path):
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as terminal, (tmp_path / "log").open("w") as file:
        monkeypatch.setattr(sys, "stderr", terminal)
        assert [type(hook) for hook in progress_hook.hooks()] == [NodeProgress]
        monkeypatch.setattr(sys, "stderr", file)
        assert progress_hook.hooks() == ()
    os.close(ours)
