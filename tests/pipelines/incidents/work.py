"""A workspace of predictions, its incidents and what was told of them, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from batch_scoring.alerts.ledger import Ledger
from batch_scoring.operations.annotations import Annotations
from batch_scoring.pipelines.incidents.nodes import find_incidents, notify, rank_devices
from tests.predictions import WINDOWS_A_DAY, draw_predictions, put_predictions, window_number
from tests.tables_on_disk import TableOnDisk

# Windows that are drawn for a day: the rest of it has none.
PER_DAY = 6


class Work:
    """Predictions that are drawn, and the nodes of ``incidents``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.predictions = TableOnDisk(folder / "predictions", "window_start")
        self.incidents = TableOnDisk(folder / "incidents", "start")
        self.ranking = TableOnDisk(folder / "device_incidents")
        self.windows = TableOnDisk(folder / "windows", "window_start")
        self.gaps = TableOnDisk(folder / "gaps", "start")
        self.settings: dict[str, Any] = {}
        self.ledger = TableOnDisk(folder / "notifications")

    def draw(self, series: dict[str, str], sensor: str = "s", day: int = 0) -> bool:
        """Score a sensor from a day on, six windows a day; nothing else is left of these days."""
        n_days = -(-max(map(len, series.values())) // PER_DAY)
        days = range(day, day + n_days)
        parts = [
            draw_predictions(
                {name: text[(one - day) * PER_DAY :][:PER_DAY] for name, text in series.items()},
                sensor,
                one * WINDOWS_A_DAY,
            )
            for one in days
        ]
        spans = [(sensor, one * WINDOWS_A_DAY, (one + 1) * WINDOWS_A_DAY) for one in days]
        return put_predictions(self.predictions, *parts, instead_of=spans)

    def find(self, device: Any = None, sensor: Any = None, calendar: Any = None, **settings: Any) -> bool:
        """Run the node; whether it committed anything."""
        self.settings = settings
        return self.incidents.save(
            find_incidents(
                self.predictions.load(), settings, device, sensor, Annotations({"calendar": calendar})
            )
        )

    def rank(self, **settings: Any) -> bool:
        """Run the node; whether it committed anything."""
        return self.ranking.save(rank_devices(self.incidents.load(), {"gaps": self.gaps.load()}, settings))

    def notify(self, open_sinks: Any, at: str, **settings: Any) -> int:
        """Rank, and run the node; how often it wrote the ledger. Single windows are told, too."""
        self.rank(**self.settings)
        updates = notify(self.ranking.load(), {"outliers": True} | settings, at)(open_sinks)
        return sum(self.ledger.save(update) for update in updates)

    def rows(self) -> list[dict[str, Any]]:
        """All incidents, in order of sensor, device and start."""
        return self.incidents.rows("sensor", "device", "start")

    def spans(self) -> list[tuple[Any, ...]]:
        """(device, first window, window after the last one, state) of each."""
        return [
            (row["device"], window_number(row["start"]), window_number(row["end"]), row["state"])
            for row in self.rows()
        ]

    def told(self) -> Ledger:
        """The ledger."""
        return Ledger.read(self.ledger.load())

    def files(self) -> dict[str, bytes]:
        """Every file by its path."""
        paths = sorted(path for path in self.folder.rglob("*") if path.is_file())
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in paths}
