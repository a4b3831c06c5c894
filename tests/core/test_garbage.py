"""The garbage collector rests at the start of a run, and only there."""

import gc

import click
import pytest
from click.testing import CliRunner

from batch_scoring.cli.run import RunCommand, run
from batch_scoring.core.garbage import collector


@pytest.fixture(autouse=True)
def an_awake_collector_afterwards():
    yield
    collector.wake()
    gc.enable()
    gc.unfreeze()


def invoke(function):
    return CliRunner().invoke(click.command(cls=RunCommand)(function))


def test_the_collector_rests_while_a_run_starts_and_is_awake_afterwards():
    awake = []
    result = invoke(lambda: awake.append(gc.isenabled()))
    assert (result.exit_code, awake, gc.isenabled()) == (0, [False], True)


def test_a_run_that_fails_leaves_the_collector_awake():
    def fail():
        raise ZeroDivisionError

    assert invoke(fail).exit_code == 1
    assert gc.isenabled()


def test_kedros_run_command_rests():
    assert isinstance(run, RunCommand)


def test_what_was_loaded_before_is_not_looked_through_again():
    collector.rest()
    collector.wake()
    assert gc.get_freeze_count() > 10_000
    assert len(gc.get_objects()) < 10_000


def test_a_collector_that_somebody_else_switched_off_stays_off():
    gc.disable()
    frozen = gc.get_freeze_count()
    collector.wake()
    assert not gc.isenabled()
    assert gc.get_freeze_count() == frozen
