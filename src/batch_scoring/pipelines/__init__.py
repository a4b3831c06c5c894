"""The Kedro pipelines, in the order of the data: simulate, ingest, aggregate, train, score, report."""
