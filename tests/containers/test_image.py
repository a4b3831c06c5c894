"""The real image in real containers: what it can do, what it cannot, and what is not in it."""

from __future__ import annotations

import json
import re
import subprocess
import textwrap
from dataclasses import replace
from datetime import datetime

import pytest
from packaging.requirements import Requirement

from batch_scoring import __version__
from batch_scoring.jobs.planning import Sharding, plan_jobs
from batch_scoring.jobs.records import Records
from batch_scoring.jobs.workspace import Workspace as JobsWorkspace
from tests.containers.layers import files_of
from tests.emulators.containers import BASE, HARDENED, PROJECT, build_options
from tests.end_to_end.workspaces import PREDICTIONS, SMALL_FLEET
from tests.secret_scan import secrets_in

pytestmark = [pytest.mark.containers, pytest.mark.slow, pytest.mark.xdist_group("image")]

ALONE = (*HARDENED, "--rm", "--network=none")
PYTHON = "3.11.2"  # of the base image of tests
# Of the parts of the project that the image of jobs is without.
NOT_INSTALLED = {
    "mlflow",
    "sklearn",
    "obstore",
    "pandera",
    "pandas",
    "scipy",
    "skops",
    "matplotlib",
    "starlette",
    "jinja2",
    "markupsafe",
    "h11",
    "anyio",
    "plotly",
    "distributed",
    "narwhals",
    "dask",
}


def locked() -> dict[str, str]:
    """The versions of the lock that are meant for the image's Python."""
    lines = map(Requirement, (PROJECT / "requirements.lock").read_text().split("\n")[:-1])
    return {
        line.name: str(line.specifier).removeprefix("==")
        for line in lines
        if line.marker is None or line.marker.evaluate({"python_full_version": PYTHON})
    }


@pytest.fixture(scope="module")
def run(podman, image):
    """Runs a command in a container, locked in and without a network; what it printed."""

    def run(*command: str, options=(), expect=0) -> str:
        done = podman.run("run", *ALONE, *options, image, *command, check=False)
        assert done.returncode == expect, done.stdout + done.stderr
        return done.stdout

    return run


@pytest.fixture(scope="module")
def in_python(run):
    def run_code(code: str) -> object:
        return json.loads(run("python", "-c", textwrap.dedent(code)).splitlines()[-1])

    return run_code


def test_it_scores_to_the_rows_that_a_run_outside_makes(run, trained, scored, tmp_path):
    inside = trained.copy_to(tmp_path / "inside")
    settings, _, at = SMALL_FLEET.rpartition(",at=")
    data = JobsWorkspace(str(inside.folder))
    sensors = data.sensors()
    (job,) = plan_jobs(
        *("score", datetime.fromisoformat(at), sensors, Sharding(sensors_per_job=len(sensors))),
        data.pinned_models(sensors),
    )
    Records(str(inside.folder)).keep_plan(job.run, [replace(job, overrides=settings)])
    subprocess.run(["chown", "-R", "10001:10001", str(inside.folder)], check=True)
    run(
        *("score", "--data=/data", f"--run={job.run}", f"--job={job.name}"),
        options=[f"--volume={inside.folder}:/data"],
    )
    tables = (PREDICTIONS, "07_model_output/daily_totals")
    assert scored.table(PREDICTIONS).num_rows > 4000
    assert inside.rows(*tables) == scored.rows(*tables)


def test_a_job_is_nobody_and_cannot_become_somebody(in_python):
    status = in_python(
        """
        import json, os
        lines = dict(line.split(":", 1) for line in open("/proc/self/status"))
        print(json.dumps([os.getuid(), os.getgid(), lines["CapEff"].strip(), lines["NoNewPrivs"].strip()]))
        """
    )
    assert status == [10001, 10001, "0000000000000000", "1"]


def test_it_is_nobody_without_being_told(podman, image):
    assert podman.inspect(image)["Config"]["User"] == "10001:10001"


def test_a_job_can_write_to_its_scratch_folder_alone(in_python):
    written = in_python(
        """
        import json, os
        def can_write(folder):
            try:
                open(os.path.join(folder, "probe"), "w").close()
            except OSError:
                return False
            return True
        folders = [name for name, *_ in os.walk("/") if not name.startswith(("/proc", "/sys", "/dev"))]
        print(json.dumps([folder for folder in folders if can_write(folder)]))
        """
    )
    # Podman puts in-memory folders there, too, where the root is read-only.
    assert set(written) <= {"/tmp", "/run", "/var/tmp"}
    assert "/tmp" in written


def test_its_commands_are_found_by_name_and_behind_the_entrypoint(run):
    assert "--job JOB" in run("score", "--help")
    assert "Submit the jobs of a scheduled time" in run("schedule", "--help")
    assert "Submit the jobs of a scheduled time" in run("--help", options=["--entrypoint=schedule"])
    assert run("--version") == run("kedro", "--version")


def test_everything_of_the_project_can_be_imported_that_needs_nothing_that_is_left_out(in_python):
    missing = in_python(
        """
        import importlib, json, pkgutil
        import batch_scoring
        missing = {}
        for module in pkgutil.walk_packages(batch_scoring.__path__, "batch_scoring."):
            if module.name.endswith("_rbf_kernel"):
                continue  # loaded with ctypes
            try:
                importlib.import_module(module.name)
            except ModuleNotFoundError as error:
                missing[module.name] = error.name
        print(json.dumps(missing))
        """
    )
    assert {name.partition(".")[0] for name in missing.values()} <= NOT_INSTALLED
    parts = (".tracking", ".dask", ".api", ".server", ".bucket", ".validators")
    assert [name for name in missing if not any(part in name for part in parts)] == []


def test_everything_that_is_imported_late_is_there(in_python):
    late = re.findall(
        r"^ +(?:import|from) ((?:azure|duckdb|fastavro|opentelemetry|requests|msrest)[\w.]*)",
        "\n".join(path.read_text() for path in (PROJECT / "src").rglob("*.py")),
        re.MULTILINE,
    )
    # Traces are an extra that the image does not have.
    late = [name for name in late if not name.startswith("opentelemetry.exporter.otlp")]
    assert len(set(late)) > 15
    code = "import importlib, json\nfor name in %r:\n    importlib.import_module(name)\nprint(json.dumps(1))"
    assert in_python(code % sorted({*late, "pytz", "aiohttp"})) == 1


def test_its_packages_are_those_of_the_lock(in_python):
    installed = in_python(
        """
        import json
        from importlib.metadata import distributions
        print(json.dumps({one.name.lower().replace("_", "-"): one.version for one in distributions(
            path=__import__("glob").glob("/opt/venv/lib/python3*/site-packages"))}))
        """
    )
    assert len(installed) > 50
    assert installed.items() <= locked().items()


def test_byte_code_is_there_for_all_that_a_job_imports(in_python):
    without = in_python(
        """
        import json, os, sys
        import kedro.framework.session, pyarrow.parquet, numpy, azure.storage.blob, azure.identity
        import batch_scoring.cli, batch_scoring.pipelines.score
        def is_warm(module):
            cached = module.__spec__.cached
            if not os.path.isfile(cached):
                return False
            with open(cached, "rb") as file:
                flags = int.from_bytes(file.read(8)[4:], "little")
            # Of our own: never compared with its source, whose time is not kept.
            return flags == 1 if module.__file__.startswith(("/opt", "/app")) else True
        print(json.dumps([name for name, module in list(sys.modules.items())
            if getattr(module, "__spec__", None) and (module.__spec__.origin or "").endswith(".py")
            and not is_warm(module)]))
        """
    )
    assert set(without) <= {"__main__"}


def test_the_kernel_is_compiled_and_no_compiler_is_left(run, in_python):
    kernel = "import json; from batch_scoring.detection.kernel import compiled as kernel"
    assert in_python(f"{kernel}; print(json.dumps(kernel.is_available()))") is True
    found = run("sh", "-c", "command -v gcc cc c++ ld as make pip || true")
    assert [name for name in found.split() if "/opt/venv" in name or "pip" not in name] == []


def test_nothing_of_the_build_or_of_this_machine_is_in_a_layer(podman, image, tmp_path):
    unwanted = re.compile(
        r"(^|/)(etc/pip\.conf|etc/apt/auth\.conf.*|\.netrc|pip\.conf|credentials.*\.yml|\.env|\.git)(/|$)"
        r"|^(root|home)/.|(^|/)conf/local/.|^build/|\.cache/|(^|/)(cc1|gcc|ld\.bfd)$"
    )
    base = len(podman.inspect(BASE)["RootFS"]["Layers"])
    names, secret = [], {}
    for name, data in files_of(podman, image, tmp_path, skip=base):
        names.append(name)
        if kinds := secrets_in(data):
            secret[name] = kinds
    assert len(names) > 5000
    assert [name for name in names if unwanted.search(name)] == []
    assert secret == {}


def test_the_scan_finds_a_secret_that_a_later_layer_removes(podman, image, tmp_path):
    (tmp_path / "planted").write_text("DefaultEndpointsProtocol=https;AccountKey=" + "k" * 86 + "==;")
    (tmp_path / "Dockerfile").write_text(
        f"FROM {image}\nUSER 0\nCOPY planted /opt/deep/down\nRUN rm -r /opt/deep\n"
    )
    podman.run("build", *build_options(), "--tag=localhost/planted", str(tmp_path))
    try:
        base = len(podman.inspect(image)["RootFS"]["Layers"])
        found = {
            name: kinds
            for name, data in files_of(podman, "localhost/planted", tmp_path, skip=base)
            if (kinds := secrets_in(data))
        }
        assert found == {"opt/deep/down": {"account key"}}
    finally:
        podman.run("rmi", "localhost/planted")


def test_its_labels_say_version_and_commit(podman, image):
    labels = podman.inspect(image)["Labels"]
    commit = subprocess.run(
        ["git", "log", "-1", "--format=%H %cI"], cwd=PROJECT, capture_output=True, text=True, check=True
    ).stdout.split()
    said = {name.rpartition(".")[2]: value for name, value in labels.items() if "opencontainers" in name}
    assert said["version"] == __version__
    assert said["revision"].removesuffix("-dirty") == commit[0]
    assert said["created"] == commit[1]


def test_the_same_files_make_the_same_layers(podman, image, kedro):
    kedro("deploy", "image", "build", "--tag=again", "--", *build_options(), "--no-cache")
    again = podman.inspect("localhost/batch-scoring:again")
    assert again["RootFS"]["Layers"] == podman.inspect(image)["RootFS"]["Layers"]
    podman.run("rmi", "localhost/batch-scoring:again")


def test_the_list_of_its_packages_is_spdx(image, kedro, tmp_path):
    kedro("deploy", "image", "sbom", "--tag=test", f"--to={tmp_path / 'sbom.json'}")
    listed = json.loads((tmp_path / "sbom.json").read_text())
    assert listed["spdxVersion"].startswith("SPDX-2")
    versions = {one["name"]: one.get("versionInfo") for one in listed["packages"]}
    some = ("numpy", "pyarrow", "kedro", "azure-identity")
    assert {name: versions.get(name) for name in some} == {name: locked()[name] for name in some}
    assert "libc6" in versions
