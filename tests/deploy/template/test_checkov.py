"""What checkov finds in the template is what the reference gives a reason for, one by one."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.deploy.template.templates import EVERYTHING, PROJECT, deployed, template

CHECKOV = Path(os.environ.get("CHECKOV", PROJECT / ".checkov")) / "bin/checkov"
OPTIONS = ("--compact", "--quiet", "--skip-download", "-o", "json")
OPEN = "open.json"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("checkov"),
    pytest.mark.skipif(
        not CHECKOV.exists() and not os.environ.get("CI"),
        reason="checkov is not installed: make .checkov/.ready",
    ),
]


def findings(folder):
    """What checkov finds in a folder: the file's name and the check's id."""
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [str(CHECKOV), "-d", str(folder), "--framework", "arm", *OPTIONS],
        env=clean | {"LOG_LEVEL": "ERROR", "CHECKOV_RUN_SCA_PACKAGE_SCAN_V2": "false"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    read = json.loads(done.stdout)
    assert read["summary"]["parsing_errors"] == 0 and read["summary"]["passed"] > 10
    return {(Path(one["file_path"]).name, one["check_id"]) for one in read["results"]["failed_checks"]}


def reasons():
    text = (PROJECT / "docs/reference/deployment.md").read_text("utf-8")
    return set(re.findall(r"^\| (CKV2?_AZURE_\d+) \|", text, re.MULTILINE))


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("template")
    (folder / "template.json").write_text(json.dumps(template()), encoding="utf-8")
    for chosen in EVERYTHING:
        evaluated = {key: value for key, value in template().items() if key in ("$schema", "contentVersion")}
        evaluated["resources"] = deployed(chosen)
        (folder / f"{chosen}.json").write_text(json.dumps(evaluated), encoding="utf-8")
    (folder / OPEN).write_text(json.dumps(opened()), encoding="utf-8")
    return findings(folder)


def opened():
    """The template with a storage account that is open to all."""
    changed = template()
    account = changed["resources"][0]["properties"]
    account["allowBlobPublicAccess"], account["minimumTlsVersion"] = True, "TLS1_0"
    return changed


def test_there_is_a_reason_for_everything_that_is_found_and_for_nothing_else(found):
    assert {check for file, check in found if file != OPEN} == reasons()


def test_what_is_open_would_be_found(found):
    assert {"CKV_AZURE_190", "CKV_AZURE_44"} & {check for file, check in found if file == OPEN}
