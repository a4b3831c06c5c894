"""Write the columns of the schemas into docs/reference/tables.md: ``python -m tests.table_reference``."""

import re
from pathlib import Path

import pyarrow as pa

from batch_scoring.tables.schemas import COLUMNS

PAGE = Path(__file__).parents[1] / "docs/reference/tables.md"


def written_from_schemas(page):
    """The page with the first table of each section that names a stored table written anew."""
    sections = re.split(r"^(?=## )", page, flags=re.MULTILINE)
    return "".join(_with_columns(section) for section in sections)


def _with_columns(section):
    heading = section.splitlines()[0].removeprefix("## ")
    if heading not in COLUMNS:
        return section
    before, _, after = re.split(r"(\n\| column \|(?:.*\n\|)*.*\n)", section, maxsplit=1)
    return f"{before}\n{column_table(COLUMNS[heading])}{after}"


def column_table(columns):
    rows = [
        f"| `{name}` | {type_name(one.type)} | {one.unit} | {one.meaning} |" for name, one in columns.items()
    ]
    return "\n".join(["| column | type | unit | meaning |", "|---|---|---|---|", *rows, ""])


def type_name(arrow_type):
    """A type in words; every timestamp is in microseconds, UTC.

    >>> type_name(pa.map_(pa.string(), pa.float64()))
    'map of string to double'
    """
    if pa.types.is_timestamp(arrow_type):
        return "timestamp"
    if pa.types.is_list(arrow_type):
        return f"list of {type_name(arrow_type.value_type)}"
    if pa.types.is_map(arrow_type):
        return f"map of {type_name(arrow_type.key_type)} to {type_name(arrow_type.item_type)}"
    return str(arrow_type)


if __name__ == "__main__":
    PAGE.write_text(written_from_schemas(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
