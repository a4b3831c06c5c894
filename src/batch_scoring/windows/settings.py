"""Settings of ``params:aggregate``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

import pyarrow as pa

from batch_scoring.core.digests import number_of
from batch_scoring.core.moments import MICROSECOND
from batch_scoring.core.parameters import require, within
from batch_scoring.tables.schemas import feature_columns, windows_schema
from batch_scoring.windows.features import DEFAULT_FEATURES

# Length of a window where neither a setting nor the readings ask for another.
USUAL_WINDOW = timedelta(minutes=5)
# The name under which the windows record the number of the settings they were made with.
MADE_WITH = "aggregate.settings"


@dataclass(frozen=True)
class AggregateParameters:
    """``params:aggregate``; see conf/base/parameters_aggregate.yml.

    Without ``window`` the readings choose the length once; see ``ingestion.window_length``.
    """

    window: timedelta | None = None
    features: tuple[str, ...] = DEFAULT_FEATURES
    min_readings: int = 1

    def __post_init__(self) -> None:
        odd = [name for name in self.features if not isinstance(name, str)]
        require(
            self,
            "aggregate",
            {
                "window": (
                    self.window is None or self.window >= MICROSECOND,
                    "a duration of 1 µs or more, such as '5m', or null",
                ),
                "features": (
                    bool(self.features) and not odd and len(set(self.features)) == len(self.features),
                    "different names, such as [mean, std]",
                ),
                "min_readings": within(self.min_readings, 1, 2**31 - 1),
            },
        )

    @property
    def length(self) -> timedelta:
        """Length of a window."""
        return self.window or USUAL_WINDOW

    @property
    def number(self) -> int:
        """A number of the settings that decide what a window is; equal settings have equal numbers."""
        return number_of([self.length // MICROSECOND, list(self.features), self.min_readings])

    @property
    def of_stream(self) -> AggregateParameters:
        """These settings without ``equal_run``, which takes more readings than a stream keeps."""
        return replace(self, features=tuple(name for name in self.features if name != "equal_run"))

    def of(self, windows: pa.Table) -> AggregateParameters:
        """Return these settings with the length and the features of some windows, at least one."""
        features = self.features
        if windows.column_names != windows_schema(features).names:
            features = tuple(feature_columns(windows))
        start, end = (windows[name][0].as_py() for name in ("window_start", "window_end"))
        return replace(self, window=end - start, features=features)
