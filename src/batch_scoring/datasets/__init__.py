"""Catalog datasets that kedro-datasets lacks: Arrow tables in partitions, raw readings, fleet models."""
