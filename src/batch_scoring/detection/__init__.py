"""The heart: many small models as arrays. Arrays and Arrow tables in, arrays and Arrow tables out.

Nothing here reads or writes files, and nothing here knows of Kedro, MLflow, Azure or pandas.
"""
