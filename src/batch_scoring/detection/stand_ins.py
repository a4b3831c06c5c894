"""Let each id of a machine be scored by the machine's model: an id without one by that of another id."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.detection.model_file import FleetFile
from batch_scoring.plant.devices import Devices
from batch_scoring.tables.arrow_arrays import empty_table, strings


def models_of_all_ids(models: FleetFile, devices: Devices) -> Iterator[pa.Table]:
    """Yield the models of a sensor by device, a few thousand at a time, in one part as many as are stored.

    An id without a model has that of the newest id of its machine that has one.

    Parameters
    ----------
    models : FleetFile
    devices : Devices
    """
    more = _stand_ins(models, devices) if devices.machines else None
    if more is None or not more.num_rows:
        yield from (part.table for part in models.parts())
        return
    names, first = more["device"].to_pylist(), 0
    for number, part in enumerate(models.parts(), 1):
        until = part.devices[-1].as_py()
        is_last = number == models.n_parts
        after = len(names) if is_last else first + sum(name < until for name in names[first:])
        rows = pa.concat_tables([part.table, more.slice(first, after - first)])
        yield rows.sort_by("device").combine_chunks() if after > first else part.table
        first = after


def find_stand_ins(models: FleetFile, devices: Devices) -> dict[str, str]:
    """Find the device whose model each id has that has none itself."""
    if not devices.machines:
        return {}
    wanted = strings(sorted(name for ids in devices.machines.values() for name in ids))
    there = {
        name
        for rows in models.batches(["device"])
        for name in rows["device"].filter(pc.is_in(rows["device"], value_set=wanted)).to_pylist()
    }
    return {
        name: donor
        for ids in devices.machines.values()
        if (donor := next((one for one in ids if one in there), None)) is not None
        for name in ids
        if name not in there
    }


def _stand_ins(models: FleetFile, devices: Devices) -> pa.Table:
    """Build the models of ids that have none themselves, sorted by device."""
    standing_in = find_stand_ins(models, devices)
    if not standing_in:
        return empty_table(models.info.schema)
    donors = strings(sorted(set(standing_in.values())))
    parts = [
        rows.filter(pc.is_in(rows["device"], value_set=donors))
        for part in models.parts()
        for rows in [part.table]
    ]
    rows = pa.concat_tables(parts).combine_chunks()
    names = sorted(standing_in, key=str.encode)
    place = pc.index_in(
        strings([standing_in[name] for name in names]), value_set=rows["device"].combine_chunks()
    )
    found = rows.take(place)
    column = found.schema.get_field_index("device")
    return found.set_column(column, found.schema.field(column), strings(names)).combine_chunks()
