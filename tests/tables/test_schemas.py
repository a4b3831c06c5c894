import pyarrow as pa

from batch_scoring.tables import schemas


def test_every_schema_of_the_module_is_described_column_by_column():
    described = [[(one.name, one.type) for one in columns] for columns in schemas.COLUMNS.values()]
    defined = [value for value in vars(schemas).values() if isinstance(value, pa.Schema)]
    assert [[(field.name, field.type) for field in schema] for schema in defined] == described
    assert [one for columns in schemas.COLUMNS.values() for one in columns if not one.meaning] == []


def test_units_and_meanings_do_not_get_into_the_stored_files():
    defined = [value for value in vars(schemas).values() if isinstance(value, pa.Schema)]
    assert {field.metadata for schema in defined for field in schema} == {None}
    assert {schema.metadata for schema in defined} == {None}
