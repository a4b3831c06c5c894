"""The settings of the report."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from batch_scoring.core.parameters import require
from batch_scoring.storage import is_remote


@dataclass(frozen=True)
class ReportParameters:
    """The settings ``params:report``.

    Attributes
    ----------
    range : timedelta
        Length of the range that is reported, whole days, up to the newest window.
    max_devices : int
        Maximum number of devices on the page, worst first.
    max_series : int
        Maximum number of series drawn window by window, worst first; the others in longer steps.
    max_incidents : int
        Maximum number of device incidents on the page, by priority.
    max_points : int
        Maximum number of points of all charts together; one takes about 8 bytes.
    max_rows : int
        Maximum number of rows that are read of predictions, and of the quarantine; the newest are read.
    max_status_rows : int
        Maximum number of rows of the status table; what is not ok comes first.
    data : str
        The folder of the workspace, for the summary's last lines.
    """

    range: timedelta = timedelta(days=14)
    max_devices: int = 200
    max_series: int = 60
    max_incidents: int = 200
    max_points: int = 450_000
    max_rows: int = 5_000_000
    max_status_rows: int = 2000
    data: str = "data"

    def __post_init__(self) -> None:
        require(self, "report", {"range": (self.range >= timedelta(days=1), "a day or more, such as 14d")})


@dataclass(frozen=True)
class MetricsParameters:
    """The settings ``params:metrics``; see conf/base/parameters_metrics.yml.

    Attributes
    ----------
    file : str, optional
        Where a run writes its metrics for node_exporter's textfile collector; None for nowhere.
    """

    file: str | None = None

    def __post_init__(self) -> None:
        is_good = self.file is None or (self.file.endswith(".prom") and not is_remote(self.file))
        expected = "a local file that ends in .prom, such as /var/lib/node_exporter/fleet.prom"
        require(self, "metrics", {"file": (is_good, expected)})
