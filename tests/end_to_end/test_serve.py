"""The real command over a real workspace: pages, and the registry's own commands behind them."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, Request, build_opener

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from tests.end_to_end.workspaces import PROJECT, Workspace

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def address(whole: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    copy = whole.copy_to(tmp_path_factory.mktemp("served") / "data")
    with serving(copy.folder) as address:
        yield address


@contextmanager
def serving(folder: Path | str) -> Iterator[str]:
    """Serve a workspace for the time of the block; yields the address."""
    command = [sys.executable, "-m", "kedro", "fleet", "serve", "--data", str(folder), "--port", "0"]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            said = next((line for line in server.stdout if "http://" in line), "")
            yield re.search(r"http://127\.0\.0\.1:\d+", said)[0]  # type: ignore[index]
        finally:
            server.terminate()


class Visitor:
    """A browser without a script."""

    def __init__(self, address: str) -> None:
        self.address, self._opener = address, build_opener(HTTPCookieProcessor())

    def get(self, path: str) -> str:
        return self._opener.open(self.address + path, timeout=300).read().decode()

    def post(self, path: str, page: str, **fields: str) -> tuple[int, str]:
        csrf = re.search(r'name="csrf" value="(\w+)"', page)[1]  # type: ignore[index]
        form = urlencode({"csrf": csrf, **fields}).encode()
        try:
            with self._opener.open(Request(self.address + path, form), timeout=300) as answer:
                return answer.status, answer.read().decode()
        except HTTPError as error:
            return error.code, error.read().decode()


def test_every_view_of_a_real_run_is_served(address):
    visitor = Visitor(address)
    fleet = visitor.get("/")
    device = re.search(r'href="(/device\?id=[^"]+)"', fleet)[1].replace("&amp;", "&")  # type: ignore[index]
    for path in (device, "/incidents?state=any", "/incidents/silences", "/jobs", "/models"):
        assert "<h1" in visitor.get(path)
    assert '"lower":' in visitor.get(device)
    assert visitor.get("/offline").startswith("<!doctype html>")


def test_metrics_are_those_of_the_workspace(address, whole):
    text = Visitor(address).get("/metrics")
    found = re.search(r"^batch_scoring_newest_window_end_timestamp_seconds (\S+)$", text, re.MULTILINE)
    ends = whole.table("07_model_output/predictions")["window_end"]
    assert float(found[1]) == pc.max(ends).cast(pa.int64()).as_py() / 1e6  # type: ignore[index]


def test_promotion_and_rollback_are_those_of_the_registry(address):
    visitor = Visitor(address)
    assert "champion" in visitor.get("/models/versions")
    page = visitor.get("/incidents/silences")
    status, text = visitor.post("/models", page, do="promote", sensor="vibration", version="1")
    assert (status, "is promoted" in text) == (200, True)
    status, text = visitor.post("/models", page, do="rollback", sensor="vibration")
    assert status == 400
    assert "no previous champion" in text
