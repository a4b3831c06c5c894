"""The models of one sensor's devices as one Arrow table: no pickles, one row a device, ragged lists.

Arrow stores a list column as offsets and values, which is just what the kernel reads.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from batch_scoring.core.errors import InputError
from batch_scoring.detection.detectors.combined import CombinedModels, Curves, hours_of_models
from batch_scoring.detection.detectors.preprocessing import KINDS, Roles
from batch_scoring.detection.detectors.tail_curves import N_NUMBERS
from batch_scoring.detection.kernel.rbf_models import RbfModels
from batch_scoring.tables.arrow_arrays import places, strings, to_numpy
from batch_scoring.tables.schemas import COMBINED, MODELS

FORMAT_VERSION = 2
METADATA_KEY = b"batch_scoring"

Float = NDArray[np.float64]


SCHEMAS = {"one_class_svm": MODELS, "combined": COMBINED}


@dataclass(frozen=True)
class FleetInfo:
    """What all models of a fleet share; kept in the table's metadata.

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
        What the scores are: see :func:`batch_scoring.detection.score.score_fleet`.
    """

    sensor: str
    features: tuple[str, ...]
    window_seconds: float
    libraries: dict[str, str]
    format_version: int = FORMAT_VERSION
    detector: str = "one_class_svm"

    @property
    def schema(self) -> pa.Schema:
        """The columns of the models: MODELS or COMBINED."""
        return SCHEMAS[self.detector]

    def to_metadata(self) -> dict[bytes, bytes]:
        """As the metadata of an Arrow schema."""
        values = {
            "sensor": self.sensor,
            "features": list(self.features),
            "window_seconds": self.window_seconds,
            "libraries": dict(sorted(self.libraries.items())),
            "format_version": self.format_version,
            "detector": self.detector,
        }
        return {METADATA_KEY: json.dumps(values).encode()}

    @classmethod
    def of_schema(cls, schema: pa.Schema) -> FleetInfo:
        """Read it from the metadata of a schema.

        Raises
        ------
        InputError
            When the table is no fleet model, or of a newer format than this code knows.
        """
        text = (schema.metadata or {}).get(METADATA_KEY)
        if text is None:
            raise InputError("this table is not a fleet model: its metadata has no 'batch_scoring' entry")
        values = json.loads(text)
        if values["format_version"] > FORMAT_VERSION:
            raise InputError(
                f"this fleet model has format {values['format_version']}, "
                f"newer than the {FORMAT_VERSION} known here; upgrade batch_scoring"
            )
        return cls(**{**values, "features": tuple(values["features"])})


@dataclass(frozen=True)
class FleetModel:
    """The models of one sensor's devices.

    Attributes
    ----------
    table : pyarrow.Table
        Schema ``info.schema``, one row a device, sorted by device (UTF-8 bytes), each device once.
    info : FleetInfo

    Notes
    -----
    The score is scikit-learn's ``decision_function``:
    ``score = Σ dual_coef · exp(-gamma · ‖z - sv‖²) - rho``, the lower, the more abnormal. A window
    is an anomaly when ``score < threshold``; ``threshold = 0`` is the plain one-class SVM.
    """

    table: pa.Table
    info: FleetInfo

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
        """The devices, sorted; one model each."""
        return _array(self.table, "device")

    @property
    def n_support_vectors(self) -> NDArray[np.int64]:
        """Support vectors of each model, shape (D,)."""
        return np.diff(_offsets(self.table, "dual_coef"))

    def arrays(self) -> RbfModels:
        """The models as flat arrays for the kernel."""
        d = len(self.info.features)
        return RbfModels(
            mean=_values(self.table, "mean").reshape(-1, d),
            scale=_values(self.table, "scale").reshape(-1, d),
            gamma=to_numpy(self.table["gamma"]),
            rho=to_numpy(self.table["rho"]),
            sv_offsets=_offsets(self.table, "dual_coef"),
            support_vectors=_values(self.table, "support_vectors").reshape(-1, d),
            dual_coef=_values(self.table, "dual_coef"),
        )

    def combined(self) -> tuple[CombinedModels, Curves]:
        """What the combined detector knows, as arrays."""
        d, table = len(self.info.features), self.table
        n_levels = Roles.of(self.info.features).levels.size
        season, of_hour = hours_of_models(
            _values(table, "time_of_day"), _offsets(table, "time_of_day"), n_levels
        )
        models = CombinedModels(
            kind=places(table["kind"], strings(KINDS)),
            center=_values(table, "center").reshape(-1, d),
            spread=_values(table, "spread").reshape(-1, d),
            season=season,
            of_hour=of_hour,
        )
        curves = Curves(
            distance=_values(table, "distance_curve").reshape(-1, N_NUMBERS),
            svm=_values(table, "svm_curve").reshape(-1, N_NUMBERS),
            both=_values(table, "curve").reshape(-1, 4),
        )
        return models, curves

    def select(self, devices: Sequence[str] | frozenset[str]) -> FleetModel:
        """The models of these devices only; unknown ones are left out silently."""
        keep = pc.is_in(self.table["device"], value_set=strings(sorted(devices)))
        return FleetModel(self.table.filter(keep).combine_chunks(), self.info)

    def replace(self, newer: FleetModel) -> FleetModel:
        """These models with the rows of ``newer`` put in the place of their devices', or added.

        Raises
        ------
        InputError
            When sensor, features or window length differ.
        """
        for name in ("sensor", "features", "window_seconds", "detector"):
            ours, theirs = getattr(self.info, name), getattr(newer.info, name)
            if ours != theirs:
                raise InputError(
                    f"sensor {self.info.sensor!r}: models over {name} {theirs!r} cannot join those over "
                    f"{ours!r}; train all devices of the sensor"
                )
        keep = pc.invert(pc.is_in(self.table["device"], value_set=newer.devices))
        rows = pa.concat_tables([self.table.filter(keep), newer.table])
        return FleetModel.build(rows, newer.info)

    def checked(self) -> FleetModel:
        """The model itself, when its table is what it should be.

        Raises
        ------
        InputError
            When columns are missing, the arrays of a model do not fit its features, or the devices
            are not sorted or not unique.
        """
        where = f"fleet model of sensor {self.info.sensor!r}"
        names = self.info.schema.names
        if self.table.column_names != names:
            raise InputError(f"{where}: columns are {self.table.column_names}, expected {names}")
        d = len(self.info.features)
        n_sv = self.n_support_vectors
        sizes = {"mean": d, "scale": d, "support_vectors": n_sv * d}
        if self.info.detector == "combined":
            sizes |= {
                "center": d,
                "spread": d,
                "distance_curve": N_NUMBERS,
                "svm_curve": N_NUMBERS,
                "curve": 4,
            }
        for name, expected in sizes.items():
            wrong = np.flatnonzero(np.diff(_offsets(self.table, name)) != expected)
            if wrong.size:
                device = self.devices[int(wrong[0])].as_py()
                raise InputError(f"{where}: {name} of device {device!r} does not fit its {d} features")
        order = self.devices
        if len(order) > 1 and not pc.all(pc.less(order[:-1], order[1:])).as_py():
            raise InputError(f"{where}: devices are not sorted or not unique")
        return self


def _array(table: pa.Table, name: str) -> pa.Array:
    column = table[name]
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _offsets(table: pa.Table, name: str) -> NDArray[np.int64]:
    offsets = to_numpy(_array(table, name).offsets).astype(np.int64)
    return offsets - offsets[0] if offsets.size else np.zeros(1, np.int64)


def _values(table: pa.Table, name: str) -> Float:
    # flatten() honours the offsets of a sliced array, .values would not.
    return to_numpy(_array(table, name).flatten())
