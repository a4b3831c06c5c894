"""How well anomalies match labels: arrays in, figures out. No Kedro, no MLflow, no files."""
