"""The Logic App that runs a scheduler container at every scheduled time."""

from batch_scoring.deploy.workflow.definition import workflow_definition

__all__ = ["workflow_definition"]
