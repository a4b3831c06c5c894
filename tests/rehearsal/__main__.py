"""``python -m tests.rehearsal``: build the image, deploy, play three hours, compare, clear away.

The image is built where there is a network. All else happens in one where only the stand-ins are.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.emulators import azurite, containers
from tests.rehearsal import fleet, network
from tests.rehearsal.timeline import Timeline

# What each is scheduled by, unless another one is named: once as in 2018, else as it is deployed by default.
ENGINES = {
    "batch_ai": "logic_app",
    "azure_batch": "container_app_job",
    "container_apps": "container_app_job",
}
TAG = "rehearsal"


def main() -> int:
    options = _options()
    reason = network.why_not() or containers.why_not_there() or azurite.why_not_there()
    if reason:
        print(f"Error: {reason}", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="batch_scoring_rehearsal_") as name:
        folder = Path(name)
        timeline = Timeline(lambda line: print(line, flush=True))
        with timeline.step("the image is built"):
            build_image(folder)
        if options.local is None:
            options.local = folder / "local"
            run_locally(options.local, timeline)
        for engine in options.engine or ENGINES:
            (folder / engine).mkdir()
            scheduler = options.scheduler or ENGINES[engine]
            print(f"\n== {engine}, scheduled by {scheduler}", flush=True)
            inside = [sys.executable, "-m", "tests.rehearsal.inside"]
            code = network.run_inside([*inside, str(folder), str(options.local), engine, scheduler])
            if code != 0:
                return code
    return 0


def build_image(folder: Path) -> None:
    """Build it as a person does, with the base image and settings of a machine without Docker Hub."""
    builder = containers.Podman(containers.HOME / "builder")
    builder.import_base()
    command = [sys.executable, "-m", "kedro", "deploy", "image", "build", f"--tag={TAG}", "--"]
    with (folder / "build.log").open("wb") as log:
        done = subprocess.run(
            [*command, *containers.build_options()],
            cwd=containers.PROJECT,
            env=os.environ | builder.environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode != 0:
        shutil.copyfileobj((folder / "build.log").open(), sys.stderr)
        raise SystemExit("Error: the image could not be built; see above")


def run_locally(folder: Path, timeline: Timeline) -> None:
    """Make what every engine begins with, and what it has to come to."""
    with timeline.step("a local run trains on two days"):
        fleet.train(folder)
    with timeline.step("the same local run over all readings") as notes:
        fleet.score(folder)
        notes.append(f"{fleet.expected(folder).num_rows:,} predictions")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.rehearsal", description=__doc__)
    parser.add_argument("--engine", action="append", choices=ENGINES, help="default: all")
    parser.add_argument("--scheduler", choices=sorted(set(ENGINES.values())), help="default: the engine's")
    parser.add_argument("--local", type=Path, help="what run_locally has made already")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
