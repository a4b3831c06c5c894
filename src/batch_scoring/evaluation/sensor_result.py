"""The result of one sensor, passed from the job that evaluated it to the sum over the fleet."""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
import pyarrow as pa

from batch_scoring.core.digests import digest_of
from batch_scoring.core.errors import InputError
from batch_scoring.evaluation.basis import Basis
from batch_scoring.evaluation.known_events import KnownEvents
from batch_scoring.evaluation.metrics.matching import Outcome
from batch_scoring.evaluation.metrics.tally import SensorOutcomes
from batch_scoring.evaluation.settings import EvaluateParameters

_FORMAT = 2
_DIGEST_BYTES = 32
_ARRAYS = ("series", "start", "is_labelled_anywhere", "is_device_event_seen")
_OUTCOME_ARRAYS = ("is_found", "delay_seconds", "is_device_event_found", "sweep_found", "sweep_false_alerts")


@dataclass(frozen=True)
class EvaluatedSensor:
    """The evaluation of one sensor.

    Attributes
    ----------
    rests_on : str
        Digest of settings and labels; only results with the same digest may be summed up.
    """

    outcomes: SensorOutcomes
    basis: Basis
    rests_on: str

    def to_bytes(self) -> bytes:
        """Serialise to a SHA-256 digest and an ``.npz`` file of NumPy; tables are Arrow streams in it."""
        one, basis = self.outcomes, self.basis
        head = {
            "format": _FORMAT,
            "rests_on": self.rests_on,
            "sensor": one.sensor,
            "devices": one.devices,
            "basis": {name: int(n) for name, n in vars(basis).items() if isinstance(n, (int, np.integer))},
            "versions": basis.versions,
            "methods": {
                name: {"sums": list(outcome.sums), "pooled": outcome.pooled}
                for name, outcome in one.outcomes.items()
            },
        }
        arrays: dict[str, Any] = {name: getattr(one, name) for name in _ARRAYS}
        arrays |= {"head": _as_array(json.dumps(head).encode())}
        arrays |= {name: _as_array(_as_stream(getattr(basis, name))) for name in ("unknown", "events")}
        arrays |= {name: np.concatenate(getattr(basis, name)) for name in ("event_windows", "event_missing")}
        for number, (name, outcome) in enumerate(one.outcomes.items()):
            arrays[f"{number}.excess"] = one.excess[name]
            arrays |= {f"{number}.{field}": getattr(outcome, field) for field in _OUTCOME_ARRAYS}
            arrays |= {f"{number}.sums.{place}": sums for place, sums in enumerate(outcome.sums.values())}
        out = io.BytesIO()
        np.savez_compressed(out, **arrays)
        return hashlib.sha256(out.getvalue()).digest() + out.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read the bytes of :meth:`to_bytes`.

        Raises
        ------
        InputError
            When the bytes are something else, or damaged.
        """
        digest, content = data[:_DIGEST_BYTES], data[_DIGEST_BYTES:]
        if hashlib.sha256(content).digest() != digest:
            raise InputError("the evaluation of a sensor is damaged; submit the evaluation for another time")
        with np.load(io.BytesIO(content), allow_pickle=False) as found:
            arrays = dict(found)
        head = json.loads(arrays["head"].tobytes())
        if head["format"] != _FORMAT:
            raise InputError(
                f"the evaluation of sensor {head['sensor']!r} has format {head['format']}, not {_FORMAT}; "
                "submit the evaluation for another time"
            )
        return cls(_outcomes(head, arrays), _basis(head, arrays), head["rests_on"])


def rests_on(settings: EvaluateParameters, known: KnownEvents, rate: float) -> str:
    """Digest of what an evaluation rests on but windows and predictions; ``rate`` is :func:`.target_rate`."""
    values = {field.name: str(getattr(settings, field.name)) for field in fields(settings)}
    del values["data"]  # jobs may see the workspace under another name
    return digest_of([values, known.digest, rate])


def _outcomes(head: dict[str, Any], arrays: dict[str, Any]) -> SensorOutcomes:
    outcomes, excess = {}, {}
    for number, (name, values) in enumerate(head["methods"].items()):
        sums = {one: arrays[f"{number}.sums.{place}"] for place, one in enumerate(values["sums"])}
        rest = {field: arrays[f"{number}.{field}"] for field in _OUTCOME_ARRAYS}
        outcomes[name] = Outcome(sums=sums, pooled=values["pooled"], **rest)
        excess[name] = arrays[f"{number}.excess"]
    own = {name: arrays[name] for name in _ARRAYS}
    return SensorOutcomes(
        sensor=head["sensor"], devices=head["devices"], outcomes=outcomes, excess=excess, **own
    )


def _basis(head: dict[str, Any], arrays: dict[str, Any]) -> Basis:
    return Basis(
        **head["basis"],
        unknown=[_table(arrays["unknown"])],
        events=[_table(arrays["events"])],
        event_windows=[arrays["event_windows"]],
        event_missing=[arrays["event_missing"]],
        sensors=[head["sensor"]],
        versions=head.get("versions", {}),
    )


def _as_array(data: bytes) -> Any:
    return np.frombuffer(data, np.uint8)


def _as_stream(tables: list[pa.Table]) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, tables[0].schema) as stream:
        stream.write_table(pa.concat_tables(tables))
    return sink.getvalue().to_pybytes()


def _table(data: Any) -> pa.Table:
    return pa.ipc.open_stream(data.tobytes()).read_all()
