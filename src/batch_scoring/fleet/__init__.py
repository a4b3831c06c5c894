"""Former names of modules, for models that MLflow logged before they moved: their script imports these."""
