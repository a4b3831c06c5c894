"""The command line keeps ids as they were written, and says what a person can mend in one line."""

from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from kedro.framework.startup import bootstrap_project

from batch_scoring.cli import cli
from batch_scoring.cli.command import UserErrorCommand, user_error_of
from batch_scoring.cli.run import run
from batch_scoring.core.errors import InputError
from batch_scoring.core.run_params import split_params

PROJECT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("device=7", {"device": "7"}),
        ("device=007", {"device": "007"}),
        ("device=7.0,sensor=1e3", {"device": "7.0", "sensor": "1e3"}),
        ("device=7,device=8", {"device": ["7", "8"]}),
        ("device=[7, '8,9', x]", {"device": ["7", "8,9", "x"]}),
        ('device="[odd], id",sensor=s', {"device": "[odd], id", "sensor": "s"}),
        ("device=a=b", {"device": "a=b"}),
        ("train.share=0.5,train.fit.nu=1e-2", {"train": {"share": 0.5, "fit": {"nu": 0.01}}}),
        ("aggregate.features=[mean,std]", {"aggregate": {"features": ["mean", "std"]}}),
        ("at=2026-01-05T00:00Z,data=/tmp/x", {"at": "2026-01-05T00:00Z", "data": "/tmp/x"}),
    ],
)
def test_params_are_read_as_a_person_means_them(text, expected):
    assert split_params(click.Context(run), None, text) == expected


def test_params_that_are_read_already_stay():
    assert split_params(click.Context(run), None, {"device": "7"}) == {"device": "7"}


@given(st.text(st.characters(exclude_characters="\"'", exclude_categories=["C"]), min_size=1).map(str.strip))
def test_any_quoted_id_comes_through(identifier):
    if identifier:
        assert split_params(click.Context(run), None, f'device="{identifier}"') == {"device": identifier}


@pytest.mark.parametrize("text", ["share", "=5"])
def test_an_item_without_a_key_or_value_is_refused(text):
    with pytest.raises(click.UsageError, match="is not key=value"):
        split_params(click.Context(run), None, text)


def fails_with(error):
    @click.command(cls=UserErrorCommand)
    def command():
        raise error

    return CliRunner().invoke(command)


def test_what_a_person_can_mend_is_one_line():
    result = fails_with(InputError("sensor 'x' is unknown"))
    assert (result.exit_code, result.output) == (1, "Error: sensor 'x' is unknown\n")


def test_a_bug_keeps_its_traceback():
    assert isinstance(fails_with(ZeroDivisionError()).exception, ZeroDivisionError)


def test_the_cause_is_found_below_kedros_own_errors():
    wrapped = RuntimeError("while saving")
    wrapped.__cause__ = InputError("file x")
    assert str(user_error_of(wrapped)) == "file x"
    assert user_error_of(RuntimeError("other")) is None


def test_the_commands_are_listed():
    output = CliRunner().invoke(cli, ["--help"]).output
    assert "run" in output
    assert "models" in output
    assert "rollback" in CliRunner().invoke(cli, ["models", "--help"]).output


@pytest.fixture
def small_workspace(tmp_path, monkeypatch):
    monkeypatch.chdir(PROJECT)
    bootstrap_project(PROJECT)
    return tmp_path / "data"


def test_the_page_of_a_workspace_is_copied(small_workspace, tmp_path):
    page = small_workspace / "08_reporting/report.html"
    page.parent.mkdir(parents=True)
    page.write_text("<p>a page, ü</p>", encoding="utf-8")
    copy = tmp_path / "there/copy.html"

    done = CliRunner().invoke(cli, ["report", "--data", str(small_workspace), "--to", str(copy)])

    assert done.exit_code == 0, done.output
    assert copy.read_bytes() == page.read_bytes()
    assert str(copy) in done.output


def test_a_page_that_is_not_there_is_one_line(small_workspace, tmp_path):
    copy = tmp_path / "copy.html"

    done = CliRunner().invoke(cli, ["report", "--data", str(small_workspace), "--to", str(copy)])

    assert done.exit_code == 1
    assert "there is no page yet; make it with `kedro run --pipelines=report`" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not copy.exists()
