"""Explain which option of ``kedro run`` Kedro refused; asked only when a run has failed."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

from batch_scoring.core.errors import InputError

_NODES = ("node_names", "from_nodes", "to_nodes")
_OPTIONS = {"node_names": "--nodes"}
_DATASETS = ("from_inputs", "to_outputs")


def explain(error: Exception, options: Mapping[str, Any]) -> InputError | None:
    """Find the option that a failed run was refused for.

    Parameters
    ----------
    error : Exception
        What ended the run.
    options : mapping
        The options of ``kedro run`` by their Python names.

    Returns
    -------
    InputError or None
        Naming the option, its value and what is known; None where no option is to blame.
    """
    from kedro.config import MissingConfigException
    from kedro.io.core import DatasetError

    if isinstance(error, MissingConfigException):
        return _unknown_environment(options) or InputError(str(error))
    if isinstance(error, AttributeError):
        return _unknown("runner", [options.get("runner")], _runners())
    if isinstance(error, (ImportError, KeyError)) and not isinstance(error, ModuleNotFoundError):
        return _unknown("pipelines", _chosen(options), [*_pipelines(), "__default__"])
    if isinstance(error, DatasetError) and options.get("load_versions"):
        return InputError(f"--load-versions: {error}")
    return _unknown_part(options) if isinstance(error, ValueError) else None


def _unknown_part(options: Mapping[str, Any]) -> InputError | None:
    """What the pipelines of a run do not have: nodes, datasets, tags or namespaces."""
    from kedro.framework.project import pipelines

    unknown = _unknown("pipelines", _chosen(options), [*_pipelines(), "__default__"])
    if unknown is not None:
        return unknown
    chosen = [pipelines[name] for name in _chosen(options) or ["__default__"]]
    nodes = [node for pipeline in chosen for node in pipeline.nodes]
    known: dict[str, Iterable[str | None]] = {
        **{option: [node.name for node in nodes] for option in _NODES},
        **{option: {name for pipeline in chosen for name in pipeline.datasets()} for option in _DATASETS},
        "tags": {tag for node in nodes for tag in node.tags},
        "namespaces": {node.namespace for node in nodes},
    }
    found = (_unknown(option, options.get(option) or [], names) for option, names in known.items())
    given = [_option(name) for name in known if options.get(name)]
    nothing = InputError(f"{' and '.join(given)}: together they leave no node to run") if given else None
    return next(filter(None, found), nothing)


def _unknown(option: str, given: Iterable[str | None], known: Iterable[str | None]) -> InputError | None:
    names = sorted(filter(None, known))
    for name in filter(None, given):
        if name in names:
            continue
        close = difflib.get_close_matches(name, names, n=3)
        hint = f"did you mean {', '.join(close)}?" if close else f"expected one of {', '.join(names)}"
        hint = hint if names else f"no node of this run has {option}"
        return InputError(f"{_option(option)}: {name!r} is not valid; {hint}")
    return None


def _option(name: str) -> str:
    return _OPTIONS.get(name) or f"--{name.replace('_', '-')}"


def _unknown_environment(options: Mapping[str, Any]) -> InputError | None:
    folder = Path(options.get("conf_source") or "conf")
    known = [entry.name for entry in folder.iterdir() if entry.is_dir()] if folder.is_dir() else []
    return _unknown("env", [options.get("env")], known)


def _chosen(options: Mapping[str, Any]) -> list[str]:
    """The names of the pipelines asked for; none for the default one."""
    several = options.get("pipelines") or []
    names = several.split(",") if isinstance(several, str) else list(several)
    return [name for name in (options.get("pipeline"), *names) if name]


def _pipelines() -> list[str]:
    from batch_scoring import pipelines

    return [module.name for module in iter_modules(pipelines.__path__) if module.ispkg]


def _runners() -> list[str]:
    import kedro.runner

    return [name for name in kedro.runner.__all__ if name != "AbstractRunner"]
