"""Files that options of ``kedro run`` name: ``--config`` with options, ``--conf-source`` with ``conf/``."""

from __future__ import annotations

import os
import tarfile
import zipfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from batch_scoring.core.errors import InputError
from batch_scoring.core.parameters import suggestion

SECTION = "run"


def read_options(file: str, known: Collection[str]) -> dict[str, Any]:
    """Read the options of a run from the file of ``--config``.

    Parameters
    ----------
    file : str
        YAML with a section ``run``.
    known : collection of str
        Names of the options.

    Returns
    -------
    dict of str to Any
        Values by the option's name.

    Raises
    ------
    InputError
        Naming the file, and what is expected.
    """
    from omegaconf import OmegaConf

    found = OmegaConf.to_container(OmegaConf.load(file))
    options = found.get(SECTION) if isinstance(found, dict) else None
    if not isinstance(options, dict):
        raise InputError(
            f"--config: {file} has no section {SECTION!r}; expected one with options of kedro run"
        )
    for name in options:
        if name not in known:
            hint = suggestion(name, known) or f"expected one of {', '.join(sorted(known))}"
            raise InputError(f"--config: {file}: {name!r} is not an option of kedro run; {hint}")
    return {str(name): value for name, value in options.items()}


def check_conf_source(options: Mapping[str, Any], base: str, default: str) -> None:
    """Refuse configuration that Kedro would not find: a folder or archive of another form.

    Parameters
    ----------
    options : mapping
        The options of ``kedro run`` by their Python names.
    base : str
        The environment that every run reads.
    default : str
        That of a run that names none.

    Raises
    ------
    InputError
        Naming ``--conf-source`` and what is expected.
    """
    source = options.get("conf_source")
    if source is None or "://" in source:
        return
    place = Path(source)
    if place.is_dir():
        if not (place / base).is_dir():
            raise InputError(f"--conf-source: {place} has no folder {base!r}; name the folder that has it")
        return
    names = _names(place)
    if names is None:
        raise InputError(
            f"--conf-source: {place} is not valid; expected a folder, or a file .zip, .tar or .tar.gz"
        )
    roots = {name.partition("/")[0] for name in names}
    if len(roots) != 1 or not any(name.startswith(f"{min(roots)}/{base}/") for name in names):
        raise InputError(
            f"--conf-source: {place} is not valid; expected one folder in it that has a folder {base!r}, as "
            "`kedro package` and `tar -czf conf.tar.gz conf` make it"
        )
    env = options.get("env") or os.environ.get("KEDRO_ENV") or default
    known = sorted({name.split("/")[1] for name in names if name.count("/") > 1})
    if env not in known:
        raise InputError(
            f"--env: {env!r} is not valid; expected one of {', '.join(known)} in {place}; "
            f"or add a folder {env!r}"
        )


def log_as_configured(source: str) -> None:
    """Log as the configuration of ``--conf-source`` says: Kedro looks below the working directory alone.

    Parameters
    ----------
    source : str
        A folder, archive or URL. Without a ``logging.yml``, or where ``KEDRO_LOGGING_CONFIG`` names one,
        nothing changes.
    """
    from kedro.config import OmegaConfigLoader
    from kedro.framework.project import LOGGING, PACKAGE_NAME

    if "KEDRO_LOGGING_CONFIG" in os.environ:
        return
    loader = OmegaConfigLoader(
        source, base_env="", default_run_env="", config_patterns={"logging": ["logging.yml"]}
    )
    if found := loader["logging"]:
        # Loggers that are not named keep their levels; those of the former configuration are not wanted.
        former = {name: {"level": "NOTSET"} for name in LOGGING["loggers"] if name != PACKAGE_NAME}
        LOGGING.configure(found | {"loggers": former | found.get("loggers", {})})
        LOGGING.set_project_logging(str(PACKAGE_NAME))


def _names(file: Path) -> list[str] | None:
    """Return what is in an archive that Kedro opens; it goes by the name of the archive."""
    try:
        if file.suffix == ".zip":
            with zipfile.ZipFile(file) as archive:
                found = archive.namelist()  # folders end with a slash
        elif file.suffix == ".tar" or file.suffixes[-2:] == [".tar", ".gz"]:
            with tarfile.open(file) as archive:
                found = [member.name + "/" * member.isdir() for member in archive.getmembers()]
        else:
            return None
    except (OSError, tarfile.TarError, zipfile.BadZipFile):
        return None
    return [name.removeprefix("./") for name in found if name not in ("./", "/")]
