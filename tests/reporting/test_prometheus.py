"""Prometheus' own tools read what is offered, and what is written down for it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from prometheus_client import generate_latest

from batch_scoring.reporting.last_run import LastRun
from batch_scoring.reporting.metrics import PREFIX, TABLES, measure, names_of
from batch_scoring.reporting.prometheus import registry_of, write_textfile
from batch_scoring.storage.row_table import Change
from batch_scoring.tables.schemas import CALIBRATIONS, DEVICE_INCIDENTS, DRIFT, GAPS, NOTIFICATIONS
from tests.alerts.ledgers import ledger_of, make_incidents
from tests.doc_pages import PROJECT
from tests.reporting.fleet_factory import make_fleet, tables_of
from tests.row_tables import dataset_at, table_at

pytestmark = pytest.mark.slow

OBSERVABILITY = PROJECT / "deploy/observability"
METRIC = re.compile(rf"\b{PREFIX}\w+")


def program(name):
    found = shutil.which(name)
    if found is None:
        reason = f"there is no {name}; Debian's package prometheus has it, `make test` installs it"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    return found


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """A function that gives each table of a workspace that has something of everything."""
    folder = tmp_path_factory.mktemp("workspace")
    incidents, ledger = make_incidents(("a", 0, 3, "open", 13)), ledger_of([("a", 0, 1, 1)])
    fleet, series = make_fleet(n_devices=3, n_days=2), {"device": "a", "sensor": "s"}
    day = pc.max(pc.floor_temporal(fleet.predictions["window_start"], unit="day")).as_py()
    drift = pa.Table.from_pylist([series | {"status": "drifted"}], schema=DRIFT)
    gaps = pa.Table.from_pylist([series | {"state": "last", "start": day - timedelta(days=1)}], schema=GAPS)
    curve = series | {"day": day, "model_version": "1", "n_windows": 9, "curve": [0.0] * 5}
    fleet = replace(fleet, calibrations=pa.Table.from_pylist([curve], schema=CALIBRATIONS))
    for name, schema, rows in (
        ("device_incidents", DEVICE_INCIDENTS, incidents),
        ("notifications", NOTIFICATIONS, ledger.table),
        ("drift", DRIFT, drift),
        ("gaps", GAPS, gaps),
    ):
        dataset_at(folder / name, None).save(lambda _, schema=schema, rows=rows: Change(schema, [[rows]]))
    with tables_of(fleet) as stored:
        times = {name: table.time for name, table in stored.items()}
        places = {name: table.folder.path() for name, table in stored.items() if name != "device_incidents"}

        def load(name):
            if name == "devices":
                return None
            return table_at(places.get(name, folder / name), times.get(name))

        yield load


def run_of(hours_ago=0.0, is_success=True):
    ended = datetime.now(UTC) - timedelta(hours=hours_ago)
    counts = {"readings_stored": 5, "windows_scored": 7}
    return LastRun(ended - timedelta(minutes=1), ended, is_success, {"score": 2.0}, counts).after(None)


def test_the_file_is_what_promtool_calls_good(workspace, tmp_path):
    path = tmp_path / "batch_scoring.prom"
    write_textfile(path, registry_of(workspace, run_of))
    text = path.read_text()
    checked = subprocess.run(
        [program("promtool"), "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stderr) == (0, "")
    assert 'batch_scoring_incidents{level="critical",state="open"} 1.0' in text
    assert [one.name for one in tmp_path.iterdir()] == ["batch_scoring.prom"]


def test_it_is_measured_anew_when_something_has_changed_and_only_then(workspace, monkeypatch):
    measured, runs = [], [run_of()] * 2 + [run_of(1)]
    real = measure

    def counted(*arguments):
        measured.append(1)
        return real(*arguments)

    monkeypatch.setattr("batch_scoring.reporting.prometheus.measure", counted)
    registry = registry_of(workspace, lambda: runs.pop(0))
    texts = [generate_latest(registry) for _ in range(3)]
    assert len(measured) == 2
    assert texts[0] == texts[1] != texts[2]


def queries(values):
    """Every PromQL expression of a dashboard or of rules."""
    if isinstance(values, dict):
        for key, value in values.items():
            if key in ("expr", "definition") and isinstance(value, str):
                yield value
            else:
                yield from queries(value)
    elif isinstance(values, list):
        for value in values:
            yield from queries(value)


def dashboard():
    return json.loads((OBSERVABILITY / "dashboard.json").read_text(encoding="utf-8"))


def rules():
    import yaml

    return yaml.safe_load((OBSERVABILITY / "alert_rules.yml").read_text(encoding="utf-8"))


def test_dashboard_and_rules_ask_for_metrics_that_there_are(workspace):
    known = names_of(measure(workspace, run_of()))
    asked = {name for text in [*queries(dashboard()), *queries(rules())] for name in METRIC.findall(text)}
    assert asked - known == set()
    # And each is drawn.
    drawn = {name for text in queries(dashboard()) for name in METRIC.findall(text)}
    assert known - drawn == {"batch_scoring_last_run_succeeded", "batch_scoring_last_run_timestamp_seconds"}


def test_every_metric_is_in_the_how_to(workspace):
    page = (PROJECT / "docs/how-to/scrape-metrics.md").read_text(encoding="utf-8")
    known = names_of(measure(workspace, run_of()))
    assert set(re.findall(rf"^\| `({PREFIX}\w+)", page, re.MULTILINE)) == known


def test_panels_do_not_overlap_and_have_ids_of_their_own():
    panels = dashboard()["panels"]
    assert len({one["id"] for one in panels}) == len(panels)
    cells = [
        (x, y)
        for one in panels
        for x in range(one["gridPos"]["x"], one["gridPos"]["x"] + one["gridPos"]["w"])
        for y in range(one["gridPos"]["y"], one["gridPos"]["y"] + one["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


def test_the_real_prometheus_scrapes_draws_and_raises_alerts(workspace, tmp_path):
    """Its rules fire on a workspace whose last success is four hours old, and each query has an answer."""
    prometheus = program("prometheus")
    registry = registry_of(workspace, lambda: run_of(4))
    with Served(lambda: generate_latest(registry)) as target, Running(prometheus, tmp_path, target) as url:
        up = wait(lambda: ask(url, "up == 1 and on() batch_scoring_last_run_succeeded == 1"))
        assert len(up) == 1
        for text in queries(dashboard()):
            if not text.startswith("label_values"):
                assert ask(url, text.replace("$instance", ".*")), text

        def firing():
            with urllib.request.urlopen(f"{url}/api/v1/alerts", timeout=30) as answer:
                found = json.load(answer)["data"]["alerts"]
            return {one["labels"]["alertname"]: one["state"] for one in found}

        names = {"BatchScoringNoSuccess", "BatchScoringWindowsOld"}
        states = wait(lambda: firing() if names <= firing().keys() else None)
        assert [states[name] for name in sorted(names)] == ["firing", "firing"]
        assert states["BatchScoringCriticalIncident"] == "pending"


def ask(url, query):
    with urllib.request.urlopen(
        f"{url}/api/v1/query?{urllib.parse.urlencode({'query': query})}", timeout=30
    ) as it:
        return json.load(it)["data"]["result"]


def wait(question, seconds=120):
    """The first answer that is something; Prometheus scrapes every second here."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            found = question()
        except OSError:
            found = None
        if found:
            return found
        time.sleep(0.2)
    raise AssertionError("there was no answer in time")


class Served:
    """A page of metrics on this machine."""

    def __init__(self, write):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                body = write()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return f"127.0.0.1:{self._server.server_port}"

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()


class Running:
    """Prometheus with the project's rules, in front of one target."""

    def __init__(self, program, folder, target):
        import socket

        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._address = f"127.0.0.1:{free.getsockname()[1]}"
        configuration = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(OBSERVABILITY / "alert_rules.yml")],
            "scrape_configs": [{"job_name": "batch_scoring", "static_configs": [{"targets": [target]}]}],
        }
        (folder / "prometheus.yml").write_text(json.dumps(configuration))
        self._command = [
            program,
            f"--config.file={folder}/prometheus.yml",
            f"--storage.tsdb.path={folder}/data",
            f"--web.listen-address={self._address}",
        ]

    def __enter__(self):
        self._process = subprocess.Popen(
            self._command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={"PATH": os.environ["PATH"]},
        )
        return f"http://{self._address}"

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()


def test_promtool_calls_the_rules_good():
    rule_file = OBSERVABILITY / "alert_rules.yml"
    checked = subprocess.run(
        [program("promtool"), "check", "rules", rule_file], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr
    assert f"{sum(len(group['rules']) for group in rules()['groups'])} rules found" in checked.stdout


def test_the_tables_are_those_of_the_catalog():
    import yaml

    catalog = yaml.safe_load((PROJECT / "conf/base/catalog.yml").read_text(encoding="utf-8"))
    assert all(catalog[name]["type"].endswith("RowTableDataset") for name in TABLES)
