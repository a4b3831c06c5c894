import pyarrow as pa

from batch_scoring.tables import schemas


def schemas_of(module):
    return [value for value in vars(module).values() if isinstance(value, pa.Schema)]


def test_every_schema_of_the_module_is_described_column_by_column():
    described = [[(name, one.type) for name, one in columns.items()] for columns in schemas.COLUMNS.values()]
    # What every model's row has is a part of two tables, and no table of its own.
    defined = [value for value in schemas_of(schemas) if value is not schemas.MODEL_KEYS]
    assert [[(field.name, field.type) for field in schema] for schema in defined] == described
    assert [one for columns in schemas.COLUMNS.values() for one in columns.values() if not one.meaning] == []


def test_units_and_meanings_do_not_get_into_the_stored_files():
    defined = schemas_of(schemas)
    assert {field.metadata for schema in defined for field in schema} == {None}
    assert {schema.metadata for schema in defined} == {None}
