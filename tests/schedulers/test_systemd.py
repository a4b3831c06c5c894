"""The units are what systemd takes, and start what they say."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from configparser import ConfigParser
from itertools import pairwise

import pytest

from tests.schedulers.conftest import RECIPES

UNITS = sorted((RECIPES / "systemd").iterdir())


def analyze(*arguments: str) -> str:
    """What ``systemd-analyze`` prints, of errors and warnings, too."""
    if shutil.which("systemd-analyze") is None:
        reason = "there is no systemd-analyze on this machine; `make test` installs it"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    done = subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def setting(name: str, section: str, key: str) -> str:
    unit = ConfigParser(interpolation=None, strict=False)
    unit.optionxform = str
    unit.read(RECIPES / "systemd" / name)
    return unit[section][key]


def test_systemd_finds_nothing_to_say_of_the_units():
    assert analyze("verify", "--man=no", *map(str, UNITS)) == ""


def test_it_would_have_found_a_setting_that_does_not_exist(tmp_path):
    for unit in UNITS:
        (tmp_path / unit.name).write_text(unit.read_text().replace("Persistent=", "Persistant="))
    assert "Unknown key 'Persistant'" in analyze("verify", "--man=no", str(tmp_path / "fleet-hour.timer"))


def test_the_hour_is_started_ten_minutes_after_its_end_in_utc():
    said = analyze("calendar", "--iterations=3", setting("fleet-hour.timer", "Timer", "OnCalendar"))
    times = re.findall(r"(?:Next elapse|Iter. #\d): \w+ \S+ (\d\d):(\d\d):00 (\w+)", said)
    assert [(minute, zone) for _, minute, zone in times] == [("10", "UTC")] * 3
    hours = [int(hour) for hour, *_ in times]
    assert [(later - earlier) % 24 for earlier, later in pairwise(hours)] == [1, 1]


def test_the_limit_of_starts_is_over_before_the_timer_comes_again():
    assert setting("fleet-hour.service", "Unit", "StartLimitIntervalSec") == "30min"


@pytest.mark.parametrize("name", ["fleet-hour", "fleet-train"])
def test_a_missed_start_is_made_up_for(name):
    assert setting(f"{name}.timer", "Timer", "Persistent") == "true"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("fleet-hour", r"ingest,\S+ --params data=/srv/fleet,readings=/srv/readings,at=[-\d]+T\d\d:00Z"),
        ("fleet-train", r"train --params data=/srv/fleet,at=[-\d]+T00:00Z,train\.range=28d,\S+"),
    ],
)
def test_a_service_starts_the_project(project, name, expected):
    # What systemd makes of a line: $$ and %% are $ and %, and there is no shell but the one it names.
    words = shlex.split(setting(f"{name}.service", "Service", "ExecStart"))
    command = [word.replace("$$", "$").replace("%%", "%") for word in words]
    subprocess.run(command, cwd=project.folder, check=True)
    (call,) = project.calls()
    assert re.fullmatch(f"run --pipelines={expected}", call)
