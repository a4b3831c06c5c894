"""Models of one sensor's devices as one Arrow table: no pickles, one row a device, ragged lists.

Arrow stores a list column as offsets and values, the layout that the kernel reads.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.core.errors import InputError
from batch_scoring.core.ids import require_known
from batch_scoring.detection.detectors import DETECTORS, Detector
from batch_scoring.detection.detectors.base import ModelRows
from batch_scoring.detection.warm_up import WEEK
from batch_scoring.tables.arrays import Float
from batch_scoring.tables.arrow_arrays import as_lists, strings
from batch_scoring.tables.schemas import TIMESTAMP

FORMAT_VERSION = 4
METADATA_KEY = b"batch_scoring"


@dataclass(frozen=True)
class FleetInfo:
    """Properties shared by all models of a sensor; kept in the table's metadata.

    Attributes
    ----------
    sensor : str
    features : tuple of str
        In the order of the columns of every model's arrays.
    window_seconds : float
        Length of the windows the models were trained on.
    libraries : dict of str to str
        Versions of the libraries that fitted them.
    format_version : int
    detector : str
        A name in ``DETECTORS``; defines the scores, see :func:`batch_scoring.detection.score.predict`.
    warm_up_seconds : float
        A model of a shorter training is warming up, see :mod:`batch_scoring.detection.warm_up`.

    Raises
    ------
    InputError
        When the detector is not known.
    """

    sensor: str
    features: tuple[str, ...]
    window_seconds: float
    libraries: dict[str, str]
    format_version: int = FORMAT_VERSION
    # Tables without a detector were fitted by this one.
    detector: str = "one_class_svm"
    warm_up_seconds: float = WEEK.total_seconds()

    def __post_init__(self) -> None:
        require_known("detector", [self.detector], DETECTORS)

    @property
    def kind(self) -> tuple[Any, ...]:
        """What sensors have in common whose models can be scored together."""
        return self.detector, self.features, self.window_seconds, self.warm_up_seconds

    @property
    def schema(self) -> pa.Schema:
        """Schema of the models' table, given by their detector."""
        return DETECTORS[self.detector].schema

    def to_metadata(self) -> dict[bytes, bytes]:
        """Encode as the metadata of an Arrow schema."""
        values = {
            "sensor": self.sensor,
            "features": list(self.features),
            "window_seconds": self.window_seconds,
            "libraries": dict(sorted(self.libraries.items())),
            "format_version": self.format_version,
            "detector": self.detector,
        }
        # Tables of before there was another one do not say it either.
        if self.warm_up_seconds != WEEK.total_seconds():
            values["warm_up_seconds"] = self.warm_up_seconds
        return {METADATA_KEY: json.dumps(values).encode()}

    @classmethod
    def of_schema(cls, schema: pa.Schema) -> FleetInfo:
        """Decode from the metadata of a schema.

        Raises
        ------
        InputError
            When the table is not a fleet model, or its format is newer than supported.
        """
        text = (schema.metadata or {}).get(METADATA_KEY)
        if text is None:
            raise InputError("this table is not a fleet model: its metadata has no 'batch_scoring' entry")
        values = json.loads(text)
        if values["format_version"] > FORMAT_VERSION:
            raise InputError(
                f"this fleet model has format {values['format_version']}, "
                f"newer than the supported {FORMAT_VERSION}; upgrade batch_scoring"
            )
        # Rows of an older format are read as rows of this one; see ``former_rows``.
        now = {"features": tuple(values["features"]), "format_version": FORMAT_VERSION}
        return cls(**{**values, **now})


@dataclass(frozen=True)
class FleetModel:
    """The models of one sensor's devices.

    Attributes
    ----------
    table : pyarrow.Table
        Schema ``info.schema``, one row a device, sorted by device (UTF-8 bytes), each device once.
    info : FleetInfo
    calibrated : pyarrow.Array of timestamp, optional
        The day of each model's calibration; null, or without it, the curve is the model's own.
    """

    table: pa.Table
    info: FleetInfo
    calibrated: pa.Array | None = None

    @classmethod
    def build(cls, table: pa.Table, info: FleetInfo) -> FleetModel:
        """Sort the rows by device, check them, and write ``info`` into the table's metadata.

        Raises
        ------
        InputError
            When a device is there twice or the arrays of a model do not fit its features.
        """
        table = table.select(info.schema.names).cast(info.schema).sort_by("device").combine_chunks()
        return cls(table.replace_schema_metadata(info.to_metadata()), info).checked()

    @property
    def devices(self) -> pa.StringArray:
        """Sorted devices, one model each."""
        column = self.table["device"]
        if not column.num_chunks:  # Arrow would import pandas
            return strings([])
        return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()

    @property
    def detector(self) -> Detector:
        """The detector that fitted the models and scores with them."""
        return DETECTORS[self.info.detector]

    @property
    def rows(self) -> ModelRows:
        """The models in the form that their detector expects."""
        return ModelRows(self.table, self.info.features, round(self.info.window_seconds * 1e6))

    def select(self, devices: Sequence[str] | frozenset[str]) -> FleetModel:
        """Select the models of these devices; unknown ones are ignored."""
        keep = pc.is_in(self.table["device"], value_set=strings(sorted(devices)))
        return FleetModel(self.table.filter(keep).combine_chunks(), self.info)

    def with_curves(self, curves: Float, calibrated: pa.Array) -> FleetModel:
        """Return these models with other curves, shape (m, k); see ``detectors.Recalibrates``."""
        place, field = self.table.schema.get_field_index("curve"), self.table.schema.field("curve")
        rows = self.table.set_column(place, field, as_lists(curves, field.type))
        return FleetModel(rows, self.info, calibrated)

    @classmethod
    def join(cls, models: Sequence[FleetModel]) -> FleetModel:
        """Join models of several sensors that are alike, to score them together; ``info`` is the first's.

        Devices may be there more than once.
        """
        if len(models) == 1:
            return models[0]
        tables = [one.table.replace_schema_metadata(None) for one in models]
        days = [
            pa.nulls(one.table.num_rows, TIMESTAMP) if one.calibrated is None else one.calibrated
            for one in models
        ]
        return cls(pa.concat_tables(tables).combine_chunks(), models[0].info, pa.concat_arrays(days))

    def replace(self, newer: FleetModel) -> FleetModel:
        """Return these models with the rows of ``newer`` replacing their devices' rows, or added.

        Raises
        ------
        InputError
            When sensor, features or window length differ.
        """
        for name in ("sensor", "features", "window_seconds", "detector"):
            ours, theirs = getattr(self.info, name), getattr(newer.info, name)
            if ours != theirs:
                raise InputError(
                    f"sensor {self.info.sensor!r}: models with {name} {theirs!r} cannot be merged with "
                    f"models with {ours!r}; train all devices of the sensor"
                )
        keep = pc.invert(pc.is_in(self.table["device"], value_set=newer.devices))
        rows = pa.concat_tables([self.table.filter(keep), newer.table])
        return FleetModel.build(rows, newer.info)

    def checked(self) -> FleetModel:
        """Check the table; return the model itself.

        Raises
        ------
        InputError
            When columns are missing, the arrays of a model do not fit its features, or the devices
            are not sorted or not unique.
        """
        where, d = f"fleet model of sensor {self.info.sensor!r}", len(self.info.features)
        names = self.info.schema.names
        if self.table.column_names != names:
            raise InputError(f"{where}: columns are {self.table.column_names}, expected {names}")
        for name, expected in self.detector.list_sizes(self.rows).items():
            wrong = np.flatnonzero(np.diff(self.rows.offsets(name)) != expected)
            if wrong.size:
                device = self.devices[int(wrong[0])].as_py()
                raise InputError(f"{where}: {name} of device {device!r} does not match its {d} features")
        order = self.devices
        if len(order) > 1 and not pc.all(pc.less(order[:-1], order[1:])).as_py():
            raise InputError(f"{where}: devices are not sorted or not unique")
        return self
