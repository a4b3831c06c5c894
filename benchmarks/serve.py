"""`kedro fleet serve` over a large fleet, measured in a browser beside a plain page of the same size.

    python benchmarks/serve.py                                  # 5,000 pumps × 4 sensors × 30 days
    python benchmarks/serve.py --devices 500 --detailed-days 2  # small
    python benchmarks/serve.py --keep FOLDER                    # lay the fleet down once, measure again

The tables are synthesised: daily totals of all days, and readings, windows and predictions of the newest
`--detailed-days` (the pages read no others until a person goes back in time). Of the newest day each table
has a file an hour, as hourly runs leave them; of the others one, as `maintain` does.

`fleet_seconds`, `device_seconds`  from the start of navigation until the map, or the charts, are drawn; the
                                   median of nine views, each of another page or device
`fleet_over_plain`, …              the same by that of a file of as many bytes served by Python's own server
`find_seconds`                     from the last key in the search field until the device is listed
`memory_mb`                        of the server, at most (VmHWM), with its children
`load_errors`, `load_p99_seconds`  of `--clients` at once for `--load-seconds`, each looking at something else
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from figures import Figure, print_figures
from serve_fleet import lay_down

PROJECT = Path(__file__).parents[1]
FIGURES = (
    Figure("fleet_seconds", "the fleet is drawn, s", 1.0, False),
    Figure("device_seconds", "a device is drawn, s", 0.5, False),
    Figure("find_seconds", "a device is found by typing, s", 1.0, False),
    Figure("memory_mb", "memory of the server, MB", 500, False),
    Figure("load_errors", "errors of clients at once", 0, False),
)
VIEWS = 9
DRAWN = {"fleet": "#heat tbody tr", "device": "#panels svg path.value"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--devices", type=int, default=5_000)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--detailed-days", type=int, default=8)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--load-seconds", type=float, default=60)
    parser.add_argument("--keep", type=Path, help="folder of the fleet; used again where it is there")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="batch_scoring_serve_") as scratch:
        folder = arguments.keep or Path(scratch)
        if not (folder / "workspace.json").exists():
            lay_down(folder, arguments.devices, arguments.days, arguments.detailed_days)
        with serving(folder) as (address, process):
            values = measure_views(address, arguments.devices, Path(scratch))
            values |= asyncio.run(load(address, arguments.devices, arguments.clients, arguments.load_seconds))
            values["memory_mb"] = peak_mb(process.pid)
    if arguments.json:
        print(json.dumps(values, indent=2))
        return
    for name, value in values.items():
        print(f"{name:24} {value:10.3f}")
    print_figures(FIGURES, values, dict.fromkeys(values, arguments.devices), "devices")


@contextmanager
def serving(folder: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The real command over a workspace; its address and its process."""
    command = [sys.executable, "-m", "kedro", "fleet", "serve", "--data", str(folder), "--port", "0"]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            said = next((line for line in process.stdout if "http://" in line), "")
            yield re.search(r"http://[^/]+", said)[0], process  # type: ignore[index]
        finally:
            process.terminate()


def measure_views(address: str, devices: int, scratch: Path) -> dict[str, float]:
    from tests.browser.browser import open_browser

    chosen = random.Random(7).sample(range(devices), 2 * VIEWS)
    paths = {
        "fleet": [f"/?page={1 + n % max(1, devices // 25)}" for n in chosen[:VIEWS]],
        "device": [f"/device?id=pump-{n + 1}" for n in chosen[VIEWS:]],
    }
    values: dict[str, float] = {}
    with open_browser() as browser, plain_server(scratch) as plain:
        page = browser.new_page()
        page.goto(address)  # what is read once for each version of the tables is not what a person waits for
        for name, links in paths.items():
            times = [drawn(page, address + link, DRAWN[name]) for link in links]
            size = page.evaluate("performance.getEntriesByType('navigation')[0].decodedBodySize")
            (scratch / "plain.html").write_text(
                f"<!doctype html><title>plain</title><p id=end>{'x' * int(size)}"
            )
            beside = [drawn(page, f"{plain}/plain.html?{n}", "#end") for n in range(VIEWS)]
            values[f"{name}_seconds"] = median(times)
            values[f"{name}_slowest_seconds"] = max(times)
            values[f"{name}_over_plain"] = median(times) / median(beside)
            values[f"{name}_page_kb"] = size / 1000
        values["find_seconds"] = found(page, address, f"pump-{max(1, round(devices * 0.8642))}")
    return values


def drawn(page: Any, url: str, selector: str) -> float:
    began = time.perf_counter()
    page.goto(url, wait_until="commit")
    page.wait_for_selector(selector, state="attached")
    return time.perf_counter() - began


def found(page: Any, address: str, name: str) -> float:
    page.goto(address)
    page.focus("#q")
    page.keyboard.type(name)
    began = time.perf_counter()
    page.wait_for_function(
        "(name) => document.querySelector('#heat tbody th a')?.textContent === name && "
        "document.querySelectorAll('#heat tbody tr').length < 20",
        arg=name,
        polling=10,
    )
    return time.perf_counter() - began


@contextmanager
def plain_server(folder: Path) -> Iterator[str]:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


async def load(address: str, devices: int, clients: int, seconds: float) -> dict[str, float]:
    """Many clients that look at something else all the time; each waits for its answer."""
    host, port = address.removeprefix("http://").split(":")
    until, times, errors = time.monotonic() + seconds, [], []

    async def one(number: int) -> None:
        chance = random.Random(number)
        while time.monotonic() < until:
            links = (
                *(f"/?page={chance.randint(1, max(1, devices // 25))}", "/version", "/incidents"),
                f"/device?id=pump-{chance.randint(1, devices)}",
            )
            began = time.perf_counter()
            try:
                status = await get(host, int(port), chance.choice(links))
                if status != 200:
                    errors.append(status)
            except (OSError, asyncio.IncompleteReadError, ValueError) as error:
                errors.append(error)
            times.append(time.perf_counter() - began)

    await asyncio.gather(*(one(number) for number in range(clients)))
    times.sort()
    return {
        "load_requests": len(times),
        "load_errors": len(errors),
        "load_median_seconds": times[len(times) // 2],
        "load_p99_seconds": times[int(len(times) * 0.99)],
    }


async def get(host: str, port: int, path: str) -> int:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n")).split()
        await reader.read(-1)
        return int(head[1])
    finally:
        writer.close()


def peak_mb(pid: int) -> float:
    """Peak memory of a process and of those it has started and that are there still."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    status = Path(f"/proc/{pid}/status").read_text()
    own = int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1000  # type: ignore[index]
    return own + sum(peak_mb(int(child)) for child in children if Path(f"/proc/{child}").exists())


if __name__ == "__main__":
    main()
