"""Fit, score and compare the models of a sensor: arrays and Arrow tables in, arrays and Arrow tables out.

Only ``model_file.py`` touches files; nothing here imports Kedro, MLflow, Azure or pandas.
"""
