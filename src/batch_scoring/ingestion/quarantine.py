"""Keep the refused rows of each source file once, those of its latest reading."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.ingestion.plain_rows import PlainRows
from batch_scoring.ingestion.source_files import SourceFile
from batch_scoring.storage.data_file import DataFile
from batch_scoring.storage.row_table import Change, RowTable, Update
from batch_scoring.tables.arrays import Bool
from batch_scoring.tables.arrow_arrays import strings, to_arrow, to_numpy
from batch_scoring.tables.schemas import QUARANTINE

if TYPE_CHECKING:
    from batch_scoring.ingestion.staging import StagingArea

# The rows of the quarantine, counted.
REFUSED_DEVICES = pa.schema(
    [*(QUARANTINE.field(name) for name in ("device", "sensor", "reason")), pa.field("count", pa.int64())]
)


def replace_quarantine(rows: PlainRows | StagingArea, read: Mapping[int, SourceFile]) -> Update:
    """Return the update that stores the refused rows of the files read instead of their earlier ones."""

    def update(table: RowTable) -> Change:
        # An event names the file first, and so does what is in an archive, which may have other files now;
        # with one file it is named itself.
        wholes = {
            source.within or source.name
            for source in read.values()
            if source.within or source.format in ("archive", "workbook")
        }
        names = sorted({source.name for source in read.values()} | wholes)
        inner = tuple(
            [f"{source.name}: " for source in read.values() if source.format == "events"]
            + sorted(f"{whole}/" for whole in wholes)
        )
        files = [file for file in table.files() if _may_have(file, [*names, *inner])]

        def is_earlier(stored: pa.Table) -> Bool:
            found: Bool = to_numpy(pc.is_in(stored["source"], value_set=strings(names)))
            if inner:
                texts = stored["source"].to_pylist()
                found = found | np.array([text.startswith(inner) for text in texts], bool)
            return found

        def rewritten() -> list[tuple[DataFile, list[pa.Table]]]:
            found = []
            for file in files:
                tables = list(table.batches(file))
                earlier = [is_earlier(one) for one in tables]
                if any(one.any() for one in earlier):
                    kept = [one.filter(to_arrow(~gone)) for one, gone in zip(tables, earlier, strict=True)]
                    found.append((file, kept))
            return found

        # Two runs that read the same file at the same time must not both store its refused rows.
        return Change(QUARANTINE, [rows.quarantine(read)], guard="quarantine", rewritten=rewritten)

    return update


def _may_have(file: DataFile, names: list[str]) -> bool:
    low, high = file.bounds.get("source", (None, None))
    if low is None or high is None:
        return True
    return any(low <= f"{name}\U0010ffff" and name <= high for name in names)


def count_refused_devices(quarantine: RowTable) -> pa.Table:
    """Count the refused rows of every device and sensor by reason.

    Returns
    -------
    pyarrow.Table
        device, sensor, reason, count; sorted by these. Rows without a device or a sensor, or that
        could not be read at all, are left out.
    """
    rows = [
        _sum_counts(batch.append_column("count", pa.repeat(pa.scalar(1), batch.num_rows)))
        for file in quarantine.files()
        for batch in quarantine.batches(file, ["device", "sensor", "reason"])
    ]
    total = _sum_counts(pa.concat_tables([REFUSED_DEVICES.empty_table(), *rows]))
    return total.sort_by([(name, "ascending") for name in ("device", "sensor", "reason")])


def _sum_counts(rows: pa.Table) -> pa.Table:
    named = rows.filter(pc.field("device").is_valid() & pc.field("sensor").is_valid())
    named = named.filter((pc.field("device") != "") & (pc.field("sensor") != ""))
    grouped = named.group_by(["device", "sensor", "reason"]).aggregate([("count", "sum")])
    return grouped.rename_columns({"count_sum": "count"}).select(REFUSED_DEVICES.names).cast(REFUSED_DEVICES)
