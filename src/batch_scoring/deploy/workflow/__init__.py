"""The Logic App that runs a scheduler container at every scheduled time."""
