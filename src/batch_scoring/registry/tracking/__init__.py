"""Track training runs, versions and aliases in MLflow, which is imported at its first use."""

from batch_scoring.registry.tracking.evaluations import log_evaluation
from batch_scoring.registry.tracking.promotion import (
    complete_promotions,
    promote,
    promote_trained,
    record_decision,
    rollback,
)
from batch_scoring.registry.tracking.pruning import Pruning, Removal, Retention, prune
from batch_scoring.registry.tracking.registration import register
from batch_scoring.registry.tracking.runs import TrainingRun, close_orphaned_runs, fail_open_runs
from batch_scoring.registry.tracking.service import ServiceRun, log_service, service_runs
from batch_scoring.registry.tracking.store import (
    Store,
    connect,
    exclusive,
    is_new_store,
    prepare,
    require_intact,
)
from batch_scoring.registry.tracking.versions import (
    CHAMPION,
    PREVIOUS,
    TrackedVersion,
    Version,
    artifacts_of,
    champion,
    find_version,
    list_sensors,
    list_versions,
    load_in_force,
    resolve_version,
)
