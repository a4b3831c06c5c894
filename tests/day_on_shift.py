"""Walks through docs/tutorial/a-day-on-shift.md in a real browser, and takes its pictures.

    python -m tests.day_on_shift FOLDER    # a workspace made by the tutorial's first command

Each step asserts what the tutorial says is seen; the pictures go to docs/images/shift-*.png.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.browser.browser import open_browser, open_page

PROJECT = Path(__file__).parents[1]
PICTURES = PROJECT / "docs/images"
LATER = "2026-01-16T13:00Z"
STEPS = "ingest,aggregate,score,incidents"


def main(folder: str) -> None:
    command = [sys.executable, "-m", "kedro", "fleet", "serve", "--data", folder, "--port", "0"]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            said = next((line for line in server.stdout if "http://" in line), "")
            address = re.search(r"http://[^/]+", said)[0]  # type: ignore[index]
            with open_browser() as browser, open_page(browser, address, height=800) as page:
                walk(page, address, folder)
        finally:
            server.terminate()


def walk(page: Any, address: str, folder: str) -> None:
    # 1. Eight in the morning
    page.goto(f"{address}/incidents?state=any")
    assert page.inner_text(".foot").startswith("11 incidents")
    assert page.inner_text(".tabs a >> nth=0").split() == ["open", "1"]

    # 2. The fleet
    page.goto(address)
    first = page.locator("#heat tbody tr").first
    assert first.locator("th").inner_text() == "pump-40"
    assert first.locator(".mark").inner_text() in ("medium", "high", "critical")
    picture(page, "fleet")
    page.type("#q", "40")
    page.wait_for_function("() => document.querySelectorAll('#heat tbody tr').length === 1")

    # 3. The device
    page.click("#heat tbody th a")
    page.wait_for_selector("#panels path.value", state="attached")
    page.focus("#panels")
    page.keyboard.press("n")
    assert "same value in a row" in page.inner_text("#panels-readout")
    picture(page, "device")

    # 4. The incident
    page.click("section[aria-labelledby=incidents-title] a >> nth=0")
    page.wait_for_selector("#state")
    assert page.inner_text("#state") == "open"
    page.fill("#comment", "The power meter hangs; Grace looks at it.")
    page.click("button[value=acknowledge]")
    page.wait_for_selector("#done")
    assert page.inner_text("#state") == "acknowledged"
    picture(page, "incident")

    # 5. A silence
    page.click("#silence-form button")
    page.wait_for_selector("text=Silenced.")
    incident = page.url.split("?")[0]

    # 6. The next hours
    page.goto(address)
    before = page.inner_text(".as-of")
    what = ["--pipelines", STEPS, "--params", f"data={folder},at={LATER}"]
    run = [sys.executable, "-m", "kedro", "run", *what]
    subprocess.run(run, cwd=PROJECT, check=True, capture_output=True)
    page.wait_for_selector("text=as of 16 Jan 2026 13:00", timeout=120_000)
    assert page.inner_text(".as-of") != before
    assert page.inner_text("#news") == "Updated. A run has committed."

    # 7. The verdict
    page.goto(incident)
    assert page.inner_text("#state") == "closed"
    assert "16 Jan 2026, 06:00 to 11:30" in page.inner_text(".facts")
    page.check("input[value=true_event]")
    page.click("button[value=verdict]")
    page.wait_for_selector("#done")
    assert "gave a verdict: True fault" in page.inner_text("#trail")

    # 8. Models and jobs
    page.goto(f"{address}/models/versions", timeout=120_000)
    assert page.locator("#versions .mark.ok").count() >= 4
    page.goto(f"{address}/jobs")
    assert page.locator("#main tbody tr").count() >= 6


def picture(page: Any, name: str) -> None:
    page.screenshot(path=PICTURES / f"shift-{name}.png")


if __name__ == "__main__":
    main(sys.argv[1])
