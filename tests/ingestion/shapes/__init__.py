"""Files of a hundred shapes that people bring, each with the readings in it: one list for tests and docs."""

from tests.ingestion.shapes import delimited, exports, fields, packed, programs, public, wrapped
from tests.ingestion.shapes.fleet import SHAPES, Shape

__all__ = ["SHAPES", "Shape", "delimited", "exports", "fields", "packed", "programs", "public", "wrapped"]
