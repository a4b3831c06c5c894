"""Fit and score many small models as arrays: arrays and Arrow tables in and out.

Only ``model_file`` accesses files; nothing here depends on Kedro, MLflow, Azure or pandas.
"""
