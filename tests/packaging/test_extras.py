"""Each extra, installed alone, is enough for its main command; without it, a sentence names it."""

from __future__ import annotations

import http.server
import re
import shutil
import subprocess
import threading
import tomllib
import urllib.request
from importlib.metadata import packages_distributions

import pytest
from packaging.requirements import Requirement

from batch_scoring.core.failures import _EXTRAS
from tests.packaging.environments import PROJECT, Installed, build, install

TABLE = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = TABLE["optional-dependencies"]
CORE = {Requirement(requirement).name for requirement in TABLE["dependencies"]}
# For those who work on the project, and not with it.
OURS = {"bench", "dev", "docs"}


def test_every_extra_is_in_the_reference():
    text = (PROJECT / "docs/reference/extras.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE) == [*EXTRAS]


@pytest.mark.slow
def test_a_missing_package_of_an_extra_is_known_by_it():
    modules: dict[str, list[str]] = {}
    for module, names in packages_distributions().items():
        for name in names:
            modules.setdefault(name.lower(), []).append(module)
    known = {module for modules_of in _EXTRAS.values() for module in modules_of}
    unknown = []
    for extra in EXTRAS.keys() - OURS:
        for requirement in EXTRAS[extra]:
            name = Requirement(requirement).name
            there = [] if name in CORE else modules.get(name, [])
            if there and known.isdisjoint(there):
                unknown.append((extra, requirement))
    assert unknown == []


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return build(tmp_path_factory.mktemp("dist"), "--wheel")


def run(installed: Installed, pipelines: str, params: str) -> str:
    return installed.run("kedro", "run", f"--pipelines={pipelines}", f"--params={params}")


def use(extra: str, one: Installed, params: str) -> None:
    """Run the main command of an extra."""
    match extra:
        case "":
            run(one, "aggregate,score,incidents,report", params)
        case "ingest":
            run(one, "simulate,ingest", params)
        case "train":
            run(one, "train", params)
        case "viz":
            one.run("kedro", "viz", "build")
        case "azure":
            one.run("kedro", "deploy", "template", "--output", "template")
        case "s3" | "gcs":
            one.run("python", "-c", "import batch_scoring.storage.bucket")
        case "validate":
            folder = re.search("data=([^,]+)", params)[1]
            one.run("kedro", "workspace", "validate", f"--data={folder}")
        case "serve":
            serve(one, params)
        case "dask":
            folder = re.search("data=([^,]+)", params)[1]
            submit = ("kedro", "jobs", "submit", "--backend=dask", "--at=2026-01-06T12:00Z")
            one.run(*submit, f"--data={folder}")
        case "metrics":
            run(one, "report", f"{params},metrics.file={one.home}/fleet.prom")
            assert "batch_scoring" in (one.home / "fleet.prom").read_text()
        case "otel":
            trace(one, params)
        case "docs":
            for name in ("docs", "README.md", "CONTRIBUTING.md", "CHANGELOG.md"):
                copy = shutil.copytree if (PROJECT / name).is_dir() else shutil.copy
                copy(PROJECT / name, one.home / name)
            shutil.copy(PROJECT / "mkdocs.yml", one.home)
            one.run("mkdocs", "build", "--quiet", NO_MKDOCS_2_WARNING="1")
        case "bench":
            one.run("python", "-c", "import polars, pyspark")
        case "dev":
            one.run("pytest", "-q", "-p", "no:cacheprovider", str(PROJECT / "tests/core/test_ids.py"))
        case _:
            raise AssertionError(f"no command of {extra}")


def serve(one: Installed, params: str) -> None:
    folder = re.search("data=([^,]+)", params)[1]
    command = one.command("kedro", "fleet", "serve", "--port=0", f"--data={folder}")
    with subprocess.Popen(
        command,
        cwd=one.home,
        env=one.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as server:
        try:
            address = next(found[0] for line in server.stdout if (found := re.search(r"http://\S+/", line)))
            with urllib.request.urlopen(address, timeout=60) as answer:
                assert b"<html" in answer.read()
        finally:
            server.terminate()


def trace(one: Installed, params: str) -> None:
    got = []

    class Collector(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(self.path)
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Collector) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        one.run(
            "kedro", "run", "--pipelines=report", f"--params={params}", OTEL_EXPORTER_OTLP_ENDPOINT=address
        )
        server.shutdown()
    assert "/v1/traces" in got


@pytest.mark.long
@pytest.mark.parametrize("extra", ["", *EXTRAS])
def test_an_extra_alone_is_enough_for_its_command(wheel, whole, tmp_path, extra, record_property):
    one = install(wheel, extra, tmp_path)
    workspace = whole.copy_to(tmp_path / "data")
    use(extra, one, f"data={workspace.folder},{workspace.params}")
    record_property("megabytes", round(one.megabytes))
    print(f"{extra or 'core'}: {one.megabytes:.0f} MB")


@pytest.mark.long
@pytest.mark.parametrize(
    ("extra", "command"),
    [
        (
            "ingest",
            ["run", "--pipelines=simulate,ingest", "--params=data=new,simulate.devices=1,simulate.days=1"],
        ),
        ("train", ["run", "--pipelines=train"]),
        ("train", ["models", "list"]),
        ("viz", ["viz", "build"]),
        ("azure", ["run", "--params=data=abfs://container/path"]),
        ("serve", ["fleet", "serve"]),
        ("dask", ["jobs", "submit", "--backend=dask"]),
    ],
)
def test_without_its_extra_a_command_says_what_to_install(bare, whole, tmp_path, extra, command):
    workspace = whole.copy_to(tmp_path / "data")
    data = f"data={workspace.folder}"
    own = {"run": [f"--params={data}"], "viz": []}.get(command[0], [f"--{data}"])
    more = command if any("data=" in one for one in command) else [*command, *own]
    output = bare.run("kedro", *more, expect=2 if extra == "viz" else 1)
    if extra != "viz":  # its command is Kedro-Viz's own: there is none
        assert "Traceback" not in output
        assert f"pip install 'batch_scoring[{extra}]'" in output.splitlines()[-1]


@pytest.fixture(scope="module")
def bare(wheel, tmp_path_factory):
    return install(wheel, "", tmp_path_factory.mktemp("bare"))
