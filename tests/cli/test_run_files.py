"""Files of options and archives of configuration, as people make them."""

import logging
import shutil
import tarfile
import zipfile

import pytest
from click.testing import CliRunner
from kedro.framework.project import LOGGING

from batch_scoring.cli.run import run
from batch_scoring.cli.run_files import check_conf_source, log_as_configured, read_options
from batch_scoring.core.errors import InputError


@pytest.fixture
def conf(tmp_path):
    """A folder of configuration."""
    for name in ("base/catalog.yml", "local/.gitkeep", "test/globals.yml", "logging.yml"):
        file = tmp_path / "conf" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return tmp_path / "conf"


def pack(conf, name, root="conf"):
    """Pack it as ``tar`` and ``zip`` do; Kedro looks into the first folder of an archive."""
    place = conf.parent / name
    files = [(file, f"{root}/{file.relative_to(conf)}".lstrip("/")) for file in sorted(conf.rglob("*.*"))]
    if place.suffix == ".zip":
        with zipfile.ZipFile(place, "w") as archive:
            for file, inside in files:
                archive.write(file, inside)
    else:
        with tarfile.open(place, "w:gz" if place.suffix == ".gz" else "w") as archive:
            for file, inside in files:
                archive.add(file, inside)
    return {"conf_source": str(place), "env": None}


@pytest.mark.parametrize("name", ["conf.tar.gz", "conf.tar", "conf.zip", "conf-batch_scoring-0.1.tar.gz"])
def test_an_archive_with_one_folder_is_taken(conf, name):
    options = pack(conf, name)
    check_conf_source(options, "base", "local")
    check_conf_source(options | {"env": "test"}, "base", "local")
    with pytest.raises(
        InputError, match=r"--env: 'nope' is not valid; expected one of base, local, test in .*conf"
    ):
        check_conf_source(options | {"env": "nope"}, "base", "local")


def test_an_archive_without_the_folder_of_runs_that_name_no_environment_is_refused(conf):
    shutil.rmtree(conf / "local")
    options = pack(conf, "conf.zip")
    with pytest.raises(
        InputError, match=r"'local' is not valid; expected one of base, test .*add a folder 'local'"
    ):
        check_conf_source(options, "base", "local")
    (conf / "local").mkdir()
    for kind in ("gztar", "zip"):
        packed = shutil.make_archive(str(conf.parent / "again"), kind, conf.parent, "conf")
        check_conf_source({"conf_source": packed}, "base", "local")


@pytest.mark.parametrize("name", ["conf.tar.gz", "conf.zip"])
def test_an_archive_without_a_folder_around_it_is_refused_by_what_makes_it_right(conf, name):
    with pytest.raises(InputError, match=r"tar -czf conf\.tar\.gz conf"):
        check_conf_source(pack(conf, name, root=""), "base", "local")


@pytest.mark.parametrize("name", ["conf.tgz", "conf.dat", "conf.zip", "conf.tar.gz", "conf.tar"])
def test_a_file_that_is_no_archive_is_refused(tmp_path, name):
    (tmp_path / name).write_text("no archive")
    with pytest.raises(InputError, match=r"expected a folder, or a file \.zip, \.tar or \.tar\.gz"):
        check_conf_source({"conf_source": str(tmp_path / name), "env": None}, "base", "local")


def test_a_folder_is_the_one_with_base_in_it(conf):
    check_conf_source({"conf_source": str(conf)}, "base", "local")
    with pytest.raises(InputError, match=r"has no folder 'base'"):
        check_conf_source({"conf_source": str(conf / "base")}, "base", "local")


@pytest.fixture
def former_logging():
    """Logging as Kedro sets it up by itself; put back as it was after the test."""
    former, level = LOGGING.data, logging.getLogger("batch_scoring").level
    LOGGING.configure(
        {"version": 1, "disable_existing_loggers": False, "loggers": {"kedro": {"level": "INFO"}}}
    )
    yield
    LOGGING.configure(former)
    logging.getLogger("batch_scoring").setLevel(level)


@pytest.mark.parametrize("name", ["conf", "conf.zip", "conf.tar.gz"])
def test_a_run_logs_as_its_configuration_says(conf, name, former_logging):
    loggers = "loggers: {batch_scoring: {level: DEBUG}}"
    (conf / "logging.yml").write_text(f"{{version: 1, disable_existing_loggers: false, {loggers}}}")
    log_as_configured(str(conf) if name == "conf" else pack(conf, name)["conf_source"])
    levels = [logging.getLogger(one).level for one in ("batch_scoring", "kedro")]
    assert levels == [logging.DEBUG, logging.NOTSET]


def test_without_a_file_or_where_the_environment_names_one_nothing_changes(conf, former_logging, monkeypatch):
    former = LOGGING.data
    (conf / "logging.yml").unlink()
    log_as_configured(str(conf))
    (conf / "logging.yml").write_text("{version: 1, root: {level: DEBUG}}")
    monkeypatch.setenv("KEDRO_LOGGING_CONFIG", "other.yml")
    log_as_configured(str(conf))
    assert LOGGING.data is former


def test_what_is_not_on_this_machine_is_left_to_kedro():
    check_conf_source({"conf_source": "abfs://conf/x"}, "base", "local")
    check_conf_source({"conf_source": None}, "base", "local")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x: 1", "has no section 'run'"),
        ("[1]", "has no section 'run'"),
        ("run: 7", "has no section 'run'"),
        ("run: {tgas: x}", "'tgas' is not an option of kedro run; did you mean 'tags'"),
        ("run: {zzz: x}", "expected one of env, tags"),
    ],
)
def test_a_file_of_options_is_refused_by_name(tmp_path, text, message):
    (tmp_path / "run.yml").write_text(text)
    with pytest.raises(InputError, match=message):
        read_options(str(tmp_path / "run.yml"), ["env", "tags"])


@pytest.fixture
def asked(monkeypatch):
    """The options that Kedro gets."""
    found = {}
    monkeypatch.setattr(run, "callback", found.update)
    return found


def test_options_of_a_file_may_be_lists_or_texts_and_those_of_the_command_line_win(tmp_path, asked):
    file = tmp_path / "run.yml"
    file.write_text(
        "run: {pipelines: [score, monitor], tags: 'a,b', params: {device: '007', train: {fit: {nu: 1}}}}"
    )
    done = CliRunner().invoke(run, ["--tags=c", "--config", str(file)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert (asked["pipelines"], asked["tags"]) == (["score", "monitor"], ["c"])
    assert asked["params"] == {"device": "007", "train": {"fit": {"nu": 1}}}
    file.write_text("run: {params: 'device=007,at=x', runner: ThreadRunner}")
    CliRunner().invoke(run, ["--config", str(file)], catch_exceptions=False)
    assert (asked["params"], asked["runner"]) == ({"device": "007", "at": "x"}, "ThreadRunner")


def test_an_option_that_is_repeated_adds_to_the_one_before(asked):
    arguments = ["--tags=a", "-t", "b,c", "--pipelines=x", "--pipelines=y", "-n", "m", "--nodes=n"]
    CliRunner().invoke(run, [*arguments, "--params=a=1,b=2", "--params=b=3"], catch_exceptions=False)
    assert asked["tags"] == ["a", "b", "c"]
    assert (asked["pipelines"], asked["node_names"]) == (["x", "y"], ["m", "n"])
    assert asked["params"] == {"a": 1, "b": 3}
    CliRunner().invoke(run, [], catch_exceptions=False)
    assert (asked["tags"], asked["pipelines"], asked["params"]) == ([], [], {})
