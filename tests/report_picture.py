"""Takes the picture of the report page in README.md and the tutorial.

kedro run --params data=FOLDER    # the default fleet
python -m tests.report_picture FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.browser.browser import open_browser, open_page

PICTURE = Path(__file__).parents[1] / "docs/images/report.png"


def main(folder: str) -> None:
    page_file = (Path(folder) / "08_reporting/report.html").absolute().as_uri()
    with open_browser() as browser, open_page(browser, page_file, height=1560) as page:
        page.locator("#incident-list summary").nth(1).click()
        page.locator("#incident-list > li").nth(1).locator("table tbody tr").first.wait_for()
        page.mouse.move(0, 0)
        page.screenshot(path=PICTURE, animations="disabled")


if __name__ == "__main__":
    main(*sys.argv[1:])
