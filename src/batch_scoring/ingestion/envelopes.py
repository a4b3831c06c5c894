"""Take readings out of JSON that has a known form, such as messages of IoT Hub, SenML and Prometheus.

A new form is a function in ``ENVELOPES``, and its name in ``settings.IngestSettings.envelope``.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa

from batch_scoring.event_hub.properties import DEVICE, ENQUEUED, properties_text
from batch_scoring.ingestion.events import record_texts, with_properties
from batch_scoring.ingestion.json_tables import (
    nested_items,
    opened_texts,
    rows_of,
    series_of,
    tables_of_columns,
    tables_of_rows,
)
from batch_scoring.ingestion.lines import LINES
from batch_scoring.ingestion.settings import IngestSettings

_BATCH_RECORDS = 20_000
# What an envelope raises for a document that is not in it.
NOT_IN_IT = (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError)


def opened_records(texts: Iterable[str], settings: IngestSettings, envelope: str) -> Iterator[pa.RecordBatch]:
    """Take the readings out of texts of JSON, each in an envelope or a list of such.

    Parameters
    ----------
    texts : iterable of str
    settings : IngestSettings
    envelope : str
        A name of ``ENVELOPES``.

    Yields
    ------
    pyarrow.RecordBatch
        Schema ``LINES``: records of JSON, numbered from 1 over all texts. What is not in this envelope is
        one record of no object, for the quarantine.
    """
    records: list[str] = []
    row = 1
    for text in texts:
        records += _opened(text, settings, ENVELOPES[envelope])
        if len(records) >= _BATCH_RECORDS:
            yield _batch(records, row)
            row, records = row + len(records), []
    if records:
        yield _batch(records, row)


def envelope_of(record: Any) -> str | None:
    """Return the envelope that a record is in, as ``ingest.envelope`` names it; None for none.

    Examples
    --------
    >>> envelope_of([{"bn": "a/", "n": "temp", "v": 20.5}]), envelope_of({"time": 1, "temp": 2})
    ('senml', None)
    """
    if isinstance(record, list) and record and isinstance(record[0], dict):
        is_senml = record[0].keys() & {"n", "bn"} and record[0].keys() & {"v", "bv", "vb"}
        return "senml" if is_senml else "nested"
    if not isinstance(record, dict):
        return None
    if "resultType" in (record["data"] if isinstance(record.get("data"), dict) else ()):
        return "prometheus"
    if "assetPropertyValueHistory" in record or _is_sitewise(record.get("entries")):
        return "sitewise"
    if isinstance(record.get("result"), dict):  # as The Things Network's storage wraps them
        record = record["result"]
    known = {
        "iothub": {"SystemProperties", "Body"},
        "ttn": {"end_device_ids", "uplink_message"},
        "telegraf": {"fields", "tags", "timestamp"},
    }
    found = next((name for name, needed in known.items() if needed <= record.keys()), None)
    if found is not None:
        return found
    # Each record is one of "nested".
    tables = (name for name in ("columns", "rows", "series") if any(True for _ in _FORMS[name](record)))
    return next(tables, None) or ("json_text" if opened_texts(record) else None)


def _is_sitewise(entries: Any) -> bool:
    return isinstance(entries, list) and bool(entries) and "propertyValues" in entries[0]


def envelope_by_itself(text: str) -> str | None:
    """Return the envelope of a text of JSON where it is one that is read without being asked for."""
    try:
        found = envelope_of(json.loads(text))
    except (ValueError, RecursionError):
        return None
    return found if found in _BY_ITSELF else None


def _opened(text: str, settings: IngestSettings, envelope: Envelope) -> list[str]:
    try:
        return list(envelope(json.loads(text), settings))
    except NOT_IN_IT:
        return [text if not text.lstrip().startswith("{") else json.dumps(text, ensure_ascii=False)]


def _batch(records: list[str], row: int) -> pa.RecordBatch:
    rows = pa.array(np.arange(row, row + len(records), dtype=np.int64))
    return pa.record_batch([rows, pa.array(records, pa.string())], schema=LINES)


def _iothub(document: Any, _: IngestSettings) -> Iterator[str]:
    for message in _listed(document):
        system = message["SystemProperties"]
        known = {
            DEVICE: system.get("connectionDeviceId", system.get(DEVICE)),
            ENQUEUED: system.get("enqueuedTime", message.get("EnqueuedTimeUtc", system.get(ENQUEUED))),
        }
        stated = properties_text(known, message.get("Properties"))
        for record in _bodies(message["Body"]):
            yield with_properties(record, stated)


def _bodies(body: Any) -> list[str]:
    """Return the records of a body: JSON, or its bytes in base64."""
    if isinstance(body, str):
        try:
            return record_texts(base64.b64decode(body, validate=True))
        except (binascii.Error, ValueError):
            return record_texts(body.encode())
    return [json.dumps(record, ensure_ascii=False) for record in _listed(body)]


def _senml(document: Any, _: IngestSettings) -> Iterator[str]:
    """Read a pack of RFC 8428: base values hold from their record on."""
    base: dict[str, Any] = {}
    for record in _listed(document):
        base |= {name: value for name, value in record.items() if name in ("bn", "bt", "bv")}
        values = [record[name] for name in ("v", "vb", "vs", "vd") if name in record]
        if not values and "bv" not in record:
            continue  # base values alone, or a sum
        value = values[0] if values else 0
        if isinstance(value, (int, float)):
            value = value + base.get("bv", 0)
        device, sensor = _senml_names(base.get("bn", ""), record.get("n", ""))
        time = base.get("bt", 0) + record.get("t", 0)
        yield _record(time or None, device, sensor, value)


def _senml_names(base: str, name: str) -> tuple[str | None, str]:
    if not (base and name):
        device, _, sensor = re.sub(r"[:/](?=[^:/]*$)", "\n", base + name).rpartition("\n")
        return device or None, sensor
    return base.rstrip(":/"), name


def _telegraf(document: Any, settings: IngestSettings) -> Iterator[str]:
    chosen = _own_key(settings, "tags")
    for metric in _listed(_metrics(document)):
        tags = metric.get("tags") or {}
        others = [f",{name}={tags[name]}" for name in sorted(tags) if name != chosen]
        for name, value in metric["fields"].items():
            sensor = f"{metric['name']}.{name}{''.join(others)}"
            yield _record(metric["timestamp"], tags.get(chosen), sensor, value)


def _metrics(document: Any) -> Any:
    return document["metrics"] if isinstance(document, dict) and "metrics" in document else document


def _ttn(document: Any, _: IngestSettings) -> Iterator[str]:
    for listed in _listed(document):
        message = listed.get("result", listed)
        uplink = message.get("uplink_message", message)
        time = uplink.get("received_at") or message.get("received_at") or message["metadata"]["time"]
        device = message["end_device_ids"]["device_id"] if "end_device_ids" in message else message["dev_id"]
        payload = uplink["decoded_payload"] if "decoded_payload" in uplink else message["payload_fields"]
        stated = properties_text({DEVICE: device, ENQUEUED: time}, None)
        yield with_properties(json.dumps({"decoded_payload": dict(payload)}, ensure_ascii=False), stated)


def _prometheus(document: Any, settings: IngestSettings) -> Iterator[str]:
    chosen = _own_key(settings, "metric")
    for series in document["data"]["result"]:
        labels = series["metric"]
        others = [name for name in sorted(labels) if name not in ("__name__", "job", chosen)]
        listed = ",".join(f'{name}="{labels[name]}"' for name in others)
        sensor = labels.get("__name__", "") + (f"{{{listed}}}" if listed else "")
        for time, value in series["values"] if "values" in series else [series["value"]]:
            yield _record(time, labels.get(chosen), sensor, value)


def _sitewise(document: Any, _: IngestSettings) -> Iterator[str]:
    """Read histories of asset properties: seconds and nanoseconds apart, the value by the name of its type.

    The last part of a property's alias is the sensor, what stands before it the device. A history without an
    alias is of one property, whose device must be set.
    """
    for pack in _listed(document):
        for entry in pack.get("entries") or [pack]:
            device, _, sensor = entry.get("propertyAlias", "").strip("/").rpartition("/")
            for one in entry["propertyValues" if "propertyValues" in entry else "assetPropertyValueHistory"]:
                at = one["timestamp"]
                time = at["timeInSeconds"] * 10**9 + at.get("offsetInNanos", 0)
                value = next(iter(one["value"].values()))
                yield _record(time, device or None, sensor or entry.get("entryId", "value"), value)


def _rows_in(
    form: Callable[[Any], Iterator[Mapping[str, Any]]], document: Any, _: IngestSettings
) -> Iterator[str]:
    for record in filter(None, _listed(document)):  # such as the history of one that has none
        yield from map(_text, form(record))


def _json_text(document: Any, _: IngestSettings) -> Iterator[str]:
    for record in _listed(document):
        yield from record_texts(_text(opened_texts(record) or record).encode())


def _text(record: Mapping[str, Any]) -> str:
    return json.dumps(record, ensure_ascii=False)


def _own_key(settings: IngestSettings, place: str) -> str:
    """Return the tag or label that is the device: as named in the settings, else the usual one."""
    named = settings.column_names("device") if settings.is_named("device") else []
    own = [name.partition(".")[2] for name in named if name.startswith(f"{place}.")]
    return own[0] if own else _USUAL[place]


def _record(time: Any, device: Any, sensor: str, value: Any) -> str:
    names = ("timestamp", "device", "sensor", "value")
    return json.dumps(dict(zip(names, (time, device, sensor, value), strict=True)), ensure_ascii=False)


def _listed(document: Any) -> list[Mapping[str, Any]]:
    return document if isinstance(document, list) else [document]


# What these make of a document is named as usual, whatever names other files have.
AS_USUAL = ("senml", "telegraf", "prometheus", "sitewise")
_BY_ITSELF = ("iothub", "ttn")
_USUAL = {"tags": "host", "metric": "instance"}
Envelope = Callable[[Any, IngestSettings], Iterator[str]]
# The rows in a record of each form.
_FORMS: dict[str, Callable[[Any], Iterator[Mapping[str, Any]]]] = {
    "columns": lambda record: chain.from_iterable(map(rows_of, tables_of_columns(record))),
    "rows": lambda record: chain.from_iterable(map(rows_of, tables_of_rows(record))),
    "series": series_of,
    "nested": nested_items,
}
ENVELOPES: dict[str, Envelope] = {
    "iothub": _iothub,
    "senml": _senml,
    "telegraf": _telegraf,
    "ttn": _ttn,
    "prometheus": _prometheus,
    "sitewise": _sitewise,
    **{name: partial(_rows_in, form) for name, form in _FORMS.items()},
    "json_text": _json_text,
}
# What these make of a document has names of its own, which the settings may have to name.
TABLES = (*_FORMS, "json_text")
