"""Run the flow of Prefect once, in Prefect's own environment: ``python run_flow.py FLOW TIME``."""

import sys
from datetime import datetime
from importlib.util import module_from_spec, spec_from_file_location

if __name__ == "__main__":
    spec = spec_from_file_location("fleet_hour", sys.argv[1])
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    module.fleet_hour(at=datetime.fromisoformat(sys.argv[2]))
