"""What Kedro-Viz shows of datasets: the first rows of a table, a drawing, a text.

Imported when Kedro-Viz asks for one. The names of the types decide how it is drawn.
"""

import base64
import math
from datetime import date, datetime
from html import escape
from typing import Any

import pyarrow as pa
from kedro_datasets._typing import HTMLPreview, ImagePreview, TablePreview


def preview_table(rows: pa.Table) -> TablePreview:
    """Return rows as Kedro-Viz draws them; what JSON lacks, such as times, is text."""
    columns = [[_cell(value) for value in column.to_pylist()] for column in rows.columns]
    return TablePreview(
        {
            "index": list(range(rows.num_rows)),
            "columns": rows.column_names,
            "data": [list(row) for row in zip(*columns, strict=True)],
        }
    )


def preview_image(png: bytes) -> ImagePreview:
    """Return a PNG as Kedro-Viz draws it."""
    return ImagePreview(base64.b64encode(png).decode())


def preview_text(text: str) -> HTMLPreview:
    """Return the beginning of a text as it was written."""
    return HTMLPreview(f"<pre>{escape(text[:5_000])}</pre>")


def _cell(value: Any) -> Any:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return value if value is None or isinstance(value, bool | int | str) else str(value)
