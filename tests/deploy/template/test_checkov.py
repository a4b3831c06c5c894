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
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not CHECKOV.exists() and not os.environ.get("CI"),
        reason="checkov is not installed: make .checkov/.ready",
    ),
]


def findings(folder):
    """Id and type of resource of everything that checkov finds in a folder."""
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [
            str(CHECKOV),
            "-d",
            str(folder),
            "--framework",
            "arm",
            "--compact",
            "--quiet",
            "--skip-download",
            "-o",
            "json",
        ],
        env=clean | {"LOG_LEVEL": "ERROR", "CHECKOV_RUN_SCA_PACKAGE_SCAN_V2": "false"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    read = json.loads(done.stdout)
    assert read["summary"]["parsing_errors"] == 0 and read["summary"]["passed"] > 10
    return {
        (
            one["check_id"],
            one["resource"].partition(".")[0] + "." + one["resource"].partition(".")[2].partition(".")[0],
        )
        for one in read["results"]["failed_checks"]
    }


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
    return findings(folder)


def test_there_is_a_reason_for_everything_that_is_found_and_for_nothing_else(found):
    assert {check for check, _ in found} == reasons()


def test_what_is_open_would_be_found(tmp_path):
    changed = template()
    account = changed["resources"][0]["properties"]
    account["allowBlobPublicAccess"], account["minimumTlsVersion"] = True, "TLS1_0"
    (tmp_path / "template.json").write_text(json.dumps(changed), encoding="utf-8")
    assert {"CKV_AZURE_190", "CKV_AZURE_44"} & {check for check, _ in findings(tmp_path)}
