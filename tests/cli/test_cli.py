"""The command line keeps ids as they were written, and says what a person can mend in one line."""

import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from kedro.io.core import DatasetError
from kedro.pipeline import Pipeline

from batch_scoring import __version__
from batch_scoring.cli import cli
from batch_scoring.cli.command import UserErrorCommand, check_environment
from batch_scoring.cli.run import run
from batch_scoring.cli.run_options import explain
from batch_scoring.core.errors import InputError
from batch_scoring.core.failures import user_error_of
from batch_scoring.core.run_params import split_params


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
        ("device=a:b", {"device": "a:b"}),
        ("device:a=b,sensor: c:d", {"device": "a=b", "sensor": "c:d"}),
        ("train.share:0.5,at:2026-01-05T10:00Z", {"train": {"share": 0.5}, "at": "2026-01-05T10:00Z"}),
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


@pytest.mark.parametrize("item", ["a.b=[x", "a='x", "a={x: [}", "a=${x", "readings='data'/x.csv"])
def test_a_value_that_cannot_be_read_is_refused_by_its_name(item):
    with pytest.raises(click.UsageError, match=re.escape(repr(item))):
        split_params(click.Context(run), None, f"b=1,{item}")


@pytest.mark.parametrize("text", ["share", "=5"])
def test_an_item_without_a_key_or_value_is_refused(text):
    with pytest.raises(click.UsageError, match=repr(text)):
        split_params(click.Context(run), None, text)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--env=nope"], ["--env", "'nope'", "azure"]),
        (["--pipelines=scor"], ["--pipelines", "'scor'", "score"]),
        (["--pipeline=scor"], ["--pipelines", "'scor'", "score"]),
        (["--nodes=drw_report"], ["--nodes", "'drw_report'", "draw_report"]),
        (["--from-nodes=nope"], ["--from-nodes", "'nope'", "draw_report"]),
        (["--to-nodes=nope"], ["--to-nodes", "'nope'", "draw_report"]),
        (["--from-inputs=reding"], ["--from-inputs", "'reding'", "readings"]),
        (["--to-outputs=reprot"], ["--to-outputs", "'reprot'", "report"]),
        (["--tags=nope"], ["--tags", "'nope'"]),
        (["--namespaces=nope"], ["--namespaces", "'nope'"]),
        (["--runner=ThredRunner"], ["--runner", "'ThredRunner'", "ThreadRunner"]),
        (["--tags=reprot"], ["--tags", "'reprot'", "report"]),
        (["--load-versions=nope:1"], ["--load-versions", "nope"]),
        (["--load-versions=windows:2026-01-01T00.00.00.000Z"], ["--load-versions", "windows", "deltalake"]),
        (["--load-versions=readings"], ["load_versions", "readings"]),
        (["--runner=nope.Nope"], ["--runner", "'nope.Nope'", "ThreadRunner"]),
        (["--runner=AbstractRunner"], ["--runner", "'AbstractRunner'"]),
        (["--runner-params=is_asinc=True"], ["--runner-params", "'is_asinc'", "is_async"]),
        (["--runner=ThreadRunner", "--runner-params=max_workers=two"], ["--runner-params", "=two"]),
        (["--runner=ParallelRunner", "--runner-params=max_workers=0"], ["--runner-params", "max_workers=0"]),
        (["--runner-params=is_async=True"], ["--runner-params is_async"]),
        (["--async"], ["--async"]),
        (
            ["--pipelines=incidents", "--from-nodes=notify", "--to-nodes=find_stretches"],
            ["--from-nodes", "--to-nodes"],
        ),
        (
            ["--pipelines=evaluate", "--from-inputs=evaluation"],
            ["evaluation", "begin with the node that makes it"],
        ),
    ],
)
def test_an_option_that_kedro_refuses_is_one_line_that_names_it(project, tmp_path, options, named):
    chosen = [] if any("pipeline" in option for option in options) else ["--pipelines=report"]
    done = CliRunner().invoke(run, [*chosen, *options, "--params", f"data={tmp_path}"])
    assert done.exit_code == 1, done.output
    (line,) = [line for line in done.output.splitlines() if line.startswith("Error: ")]
    assert [name for name in named if name not in line] == []
    assert "Traceback" not in done.output


def test_a_pipeline_that_was_made_and_not_yet_filled_is_named(project, tmp_path, monkeypatch):
    monkeypatch.setattr("batch_scoring.pipelines.monitor.create_pipeline", lambda **_: Pipeline([]))
    done = CliRunner().invoke(run, ["--pipelines=monitor", "--params", f"data={tmp_path}"])
    assert (done.exit_code, done.output) == (1, "Error: --pipelines: monitor has no nodes; give it some\n")


@pytest.mark.parametrize("place", ["hdfs://x/y", "file:///srv/fleet", "~no-such-user/x", "null"])
def test_a_workspace_in_a_place_of_another_kind_is_refused_and_no_folder_is_made(project, place):
    before = set(project.iterdir())
    done = CliRunner().invoke(run, ["--pipelines=monitor", "--params", f"data={place}"])
    assert done.exit_code == 1
    assert done.output.startswith(f"Error: {place if place != 'null' else ''!r} is not valid; expected")
    assert done.output.count("\n") == 1
    assert set(project.iterdir()) == before


@pytest.mark.parametrize(
    "command", [["jobs", "list"], ["models", "list"], ["deploy", "template"], ["report"]]
)
def test_every_command_refuses_an_environment_without_a_folder(project, command):
    done = CliRunner().invoke(cli, [*command, "--env", "nope"])
    assert done.exit_code == 1
    assert "--env: 'nope'" in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_environment_of_the_variable_is_checked_too(project, monkeypatch):
    monkeypatch.setenv("KEDRO_ENV", "nope")
    with pytest.raises(InputError, match="--env: 'nope'"):
        check_environment({"env": None, "conf_source": str(project / "conf")})


def test_a_bug_in_a_step_is_not_blamed_on_the_options():
    try:
        int("x")
    except ValueError as error:
        assert explain(error, {"node_names": ["score_windows"], "pipelines": ["score"]}) is None


@pytest.mark.slow
def test_the_version_is_printed():
    command = [sys.executable, "-m", "batch_scoring", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["batch-scoring", __version__]


def test_a_library_of_an_extra_that_is_missing_is_named_with_the_extra():
    @click.command(cls=UserErrorCommand)
    def command():
        raise DatasetError("cannot load") from ModuleNotFoundError("No module", name="mlflow.entities")

    done = CliRunner().invoke(command)
    assert done.exit_code == 1
    assert "mlflow" in done.output
    assert "batch_scoring[train]" in done.output


def fails_with(error):
    @click.command(cls=UserErrorCommand)
    def command():
        raise error

    return CliRunner().invoke(command)


def test_what_a_person_can_mend_is_one_line():
    result = fails_with(InputError("sensor 'x' is unknown"))
    assert (result.exit_code, result.output) == (1, "Error: sensor 'x' is unknown\n")


def test_a_signature_in_an_address_is_not_in_the_line():
    result = fails_with(InputError("https://a/c.csv?sv=1&sig=s3cret: not read; --token: 5 characters"))
    assert result.output == "Error: https://a/c.csv?sv=…&sig=…: not read; --token: 5 characters\n"


def test_the_traceback_of_a_bug_is_in_the_log_file_that_the_line_names():
    result = fails_with(ZeroDivisionError())
    (log,) = re.findall(r"\S+batch_scoring_error_\S+\.log", result.output)
    assert (result.exit_code, result.output.count("\n")) == (1, 1)
    assert "Traceback" in Path(log).read_text(encoding="utf-8")
    Path(log).unlink()


def test_the_cause_is_found_below_kedros_own_errors():
    wrapped = RuntimeError("while saving")
    wrapped.__cause__ = InputError("file x")
    assert str(user_error_of(wrapped)) == "file x"
    assert user_error_of(RuntimeError("other")) is None


@pytest.mark.slow
def test_the_page_of_a_workspace_is_copied(project, tmp_path):
    page = tmp_path / "data/08_reporting/report.html"
    page.parent.mkdir(parents=True)
    page.write_text("<p>a page, ü</p>", encoding="utf-8")
    copy = tmp_path / "there/copy.html"

    done = CliRunner().invoke(cli, ["report", "--data", f"{tmp_path}/data", "--to", str(copy)])

    assert done.exit_code == 0, done.output
    assert copy.read_bytes() == page.read_bytes()
    assert str(copy) in done.output


@pytest.mark.slow
def test_a_page_that_is_not_there_is_one_line(project, tmp_path):
    copy = tmp_path / "copy.html"

    done = CliRunner().invoke(cli, ["report", "--data", f"{tmp_path}/data", "--to", str(copy)])

    assert done.exit_code == 1
    assert "there is no page yet; make it with `kedro run --pipelines=report`" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not copy.exists()
