"""Explain which option of ``kedro run`` Kedro refused; asked only when a run has failed."""

from __future__ import annotations

import difflib
import inspect
import re
import traceback
from collections.abc import Iterable, Mapping
from pkgutil import iter_modules
from typing import Any

from batch_scoring.core.errors import InputError
from batch_scoring.core.system_errors import causes

_NODES = ("node_names", "from_nodes", "to_nodes")
_OPTIONS = {"node_names": "--nodes"}
# Where Kedro checks the options.
_CHECK_OPTIONS = ("kedro.framework.", "kedro.pipeline.")
# What reads --params and conf/.
_READERS = ("omegaconf", "yaml", "antlr4")
# What Kedro says of inputs that are in no catalog.
_IN_MEMORY, _QUOTED = re.compile(r"Pipeline input\(s\) (\{.*\}) not found"), re.compile(r"'([^']*)'")
_DATASETS = ("from_inputs", "to_outputs")


def explain(error: BaseException, options: Mapping[str, Any]) -> InputError | None:
    """Find the option that a failed run was refused for.

    Parameters
    ----------
    error : BaseException
        What ended the run.
    options : mapping
        The options of ``kedro run`` by their Python names.

    Returns
    -------
    InputError or None
        Naming the option, its value and what is known; None where no option is to blame.
    """
    from kedro.config import MissingConfigException
    from kedro.framework.cli.utils import KedroCliError
    from kedro.validation import DataValidationError

    if isinstance(error, MissingConfigException | KedroCliError):
        return InputError(error.message if isinstance(error, KedroCliError) else str(error))
    unmet = next((one for one in causes(error) if isinstance(one, DataValidationError)), None)
    if unmet is not None:
        return InputError(" ".join(str(unmet).split()))
    unread = next((one for one in causes(error) if type(one).__module__.partition(".")[0] in _READERS), None)
    if unread is not None:
        reason = " ".join(str(unread).split())
        return InputError(f"--params or the configuration cannot be read ({reason}); correct what it names")
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    raised_in = str(frame.f_globals.get("__name__"))
    if isinstance(error, AttributeError) and raised_in == "kedro.io.data_catalog":
        # A dataset that lives in one process, and ParallelRunner.
        return InputError(f"--runner: {str(error).splitlines()[0]}; use SequentialRunner or ThreadRunner")
    if isinstance(error, ValueError) and (missing := _IN_MEMORY.match(str(error))):
        names = ", ".join(sorted(re.findall(_QUOTED, missing[1])))
        return InputError(
            f"the nodes of this run read {names}, which lives in the memory of a run alone; "
            "begin with the node that makes it"
        )
    if options.get("runner_params") and raised_in.startswith("kedro.runner."):
        given = ", ".join(f"{name}={value}" for name, value in options["runner_params"].items())
        return InputError(f"--runner-params: {given} is not valid; expected max_workers of at least 1")
    if not raised_in.startswith(_CHECK_OPTIONS):
        return None  # a step's own error keeps its traceback, whatever the options
    if isinstance(error, (ImportError, KeyError)) and not isinstance(error, ModuleNotFoundError):
        return _unknown("pipelines", _chosen(options), [*_pipelines(), "__default__"])
    return _unknown_part(options) if isinstance(error, ValueError) else None


def _unknown_part(options: Mapping[str, Any]) -> InputError | None:
    """What the pipelines of a run do not have: nodes, datasets, tags or namespaces."""
    from kedro.framework.project import pipelines

    unknown = _unknown("pipelines", _chosen(options), [*_pipelines(), "__default__"])
    if unknown is not None:
        return unknown
    chosen = [pipelines[name] for name in _chosen(options) or ["__default__"]]
    nodes = [node for pipeline in chosen for node in pipeline.nodes]
    if not nodes:
        return InputError(f"--pipelines: {', '.join(_chosen(options))} has no nodes; give it some")
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


def _chosen(options: Mapping[str, Any]) -> list[str]:
    """The names of the pipelines asked for; none for the default one."""
    several = options.get("pipelines") or []
    names = several.split(",") if isinstance(several, str) else list(several)
    return [name for name in (options.get("pipeline"), *names) if name]


def _pipelines() -> list[str]:
    from batch_scoring import pipelines

    return [module.name for module in iter_modules(pipelines.__path__) if module.ispkg]


def check_pipelines(names: Iterable[str]) -> None:
    """Refuse a pipeline that does not exist.

    Raises
    ------
    InputError
        Naming the first one, and those there are.
    """
    unknown = _unknown("pipeline", names, [*_pipelines(), "__default__"])
    if unknown is not None:
        raise unknown


def check_load_versions(options: Mapping[str, Any]) -> None:
    """Refuse versions by time stamp, which Kedro ignores for datasets that keep none.

    Parameters
    ----------
    options : mapping
        The options of ``kedro run`` by their Python names.

    Raises
    ------
    InputError
        Naming the datasets, and how an earlier version is read.
    """
    if options["load_versions"]:
        raise InputError(
            f"--load-versions: {', '.join(sorted(options['load_versions']))}: no dataset of this project "
            "keeps versions by time stamp; read an earlier version of a table with deltalake "
            "(docs/how-to/read-the-tables.md), go back to an earlier model with kedro models rollback"
        )


def check_runner(options: Mapping[str, Any]) -> None:
    """Refuse a runner that does not exist, or that cannot run steps that stream their tables.

    Parameters
    ----------
    options : mapping
        The options of ``kedro run`` by their Python names.

    Raises
    ------
    InputError
        Naming ``--runner``, ``--runner-params`` or ``--async``, and what to use instead.
    """
    from kedro import runner
    from kedro.utils import load_obj

    name = options["runner"] or "SequentialRunner"
    try:
        found = load_obj(name, runner.__name__)
    except (ImportError, AttributeError, ValueError):
        found = None
    if not (inspect.isclass(found) and issubclass(found, runner.AbstractRunner)) or inspect.isabstract(found):
        concrete = [one for one in runner.__all__ if one.endswith("Runner") and one != "AbstractRunner"]
        unknown = _unknown("runner", [name], concrete)
        raise unknown or InputError(f"--runner: {name!r} is not a runner")
    if options["runner_params"]:
        unknown = _unknown("runner_params", options["runner_params"], inspect.signature(found).parameters)
        if unknown is not None:
            raise unknown
    if options["is_async"] or options["runner_params"].get("is_async"):
        option = "--async" if options["is_async"] else "--runner-params is_async"
        raise InputError(
            f"{option}: not supported, since steps yield their tables piece by piece; leave it out"
        )
