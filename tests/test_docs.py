"""The documentation keeps to the code: links, parameters, columns and commands are those there are."""

import re
import tomllib
from functools import cache
from pathlib import Path

import pytest
import yaml
from kedro.framework.cli.cli import KedroCLI

from batch_scoring import api
from batch_scoring.ingestion.sql import REASONS
from batch_scoring.tables.schemas import COLUMNS
from batch_scoring.windows.features import _FEATURES, DEFAULT_FEATURES
from tests import format_reference, table_reference

PROJECT = Path(__file__).parents[1]
REFERENCE = PROJECT / "docs/reference"
PAGES = sorted([*PROJECT.glob("*.md"), *(PROJECT / "docs").rglob("*.md")])


def links(text):
    return re.findall(r"\]\(([^)\s]+)\)", without_code(text))


def without_code(text):
    return re.sub(r"```.*?```", "", text, flags=re.DOTALL)


def anchors(text):
    headings = re.findall(r"^#+ (.+)$", without_code(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def table_cells(text):
    """The first cell of each row of the tables of a page."""
    return [line.split("|")[1] for line in text.splitlines() if line.startswith("| ")]


def section(text, heading):
    return re.split(r"^## ", text.split(f"\n## {heading}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_every_relative_link_leads_somewhere(page):
    broken = []
    for link in links(page.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        is_there = target.exists() and (
            not anchor or target.suffix != ".md" or anchor in anchors(target.read_text(encoding="utf-8"))
        )
        if not is_there:
            broken.append(link)
    assert broken == []


def test_every_page_of_the_documentation_is_in_its_index():
    listed = {
        link.partition("#")[0] for link in links((PROJECT / "docs/index.md").read_text(encoding="utf-8"))
    }
    there = {str(page.relative_to(PROJECT / "docs")) for page in PAGES if PROJECT / "docs" in page.parents}
    assert there - listed == {"index.md"}


SOURCE = PROJECT / "src/batch_scoring"
ROOTS = [PROJECT, SOURCE, PROJECT / "conf/base", PROJECT / "tests"]
# What a page has its reader write, and what every pipeline has.
ELSEWHERE = re.compile(
    r"conf/local/|outages|^(robust_z_alone|unix_socket)\.py$|credentials\.yml|^[ab]/kedro|^run\.yml$|^(nodes|pipeline)\.py$"
)


@pytest.mark.parametrize(
    "page", [*PAGES, PROJECT / "benchmarks/README.md"], ids=lambda page: str(page.relative_to(PROJECT))
)
def test_every_file_and_module_that_a_page_names_exists(page):
    text = page.read_text(encoding="utf-8")
    files = re.findall(r"(?<![\w/.<>*-])((?:[\w.-]+/)*[\w-]+\.(?:py|c|h|toml|yml|asaql|ipynb))\b", text)
    modules = re.findall(r"\b((?:batch_scoring|tests)(?:\.[a-z]\w*)+)", text)
    missing = [name for name in files if not any((root / name).exists() for root in [page.parent, *ROOTS])]
    missing += [name for name in modules if not is_module_or_name(name)]
    assert [name for name in missing if not ELSEWHERE.search(name)] == []


def is_module_or_name(dotted):
    """Whether there is such a module, or a module that has the last part as a name."""
    path = Path(*dotted.split("."))
    root = PROJECT / "src" if path.parts[0] == "batch_scoring" else PROJECT
    if (root / path).is_dir() or (root / path).with_suffix(".py").is_file():
        return True
    parents = [(root / path.parent).with_suffix(".py"), root / path.parent / "__init__.py"]
    return any(re.search(rf"\b{path.name}\b", file.read_text()) for file in parents if file.is_file())


def test_the_rooms_of_the_architecture_are_the_layers_from_top_to_bottom():
    text = section((PROJECT / "docs/explanation/architecture.md").read_text(encoding="utf-8"), "Rooms")
    contracts = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
    (layers,) = [one["layers"] for one in contracts["tool"]["importlinter"]["contracts"] if "layers" in one]
    assert re.findall(r"^\| `(\w+)/` \|", text, re.MULTILINE) == re.findall(r"\w+", " ".join(layers))


def test_every_folder_that_the_architecture_names_exists():
    text = (PROJECT / "docs/explanation/architecture.md").read_text(encoding="utf-8")
    folders = re.findall(r"`((?:\w+/)+)`", text)
    assert [name for name in folders if not any(SOURCE.glob(f"**/{name}"))] == []


# Mappings whose keys are data and no settings of ours.
FREE_KEYS = {
    "ingest.ranges",
    "ingest.words",
    "ingest.convert",
    "jobs.azure_batch.environment",
    "deploy.names",
} | {f"jobs.batch_ai.{name}" for name in ("environment", "secrets", "inputs", "outputs")}


def flatten(values, prefix=""):
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict) and name not in FREE_KEYS:
            yield from flatten(value, f"{name}.")
        else:
            yield name, value


def configured_parameters():
    parameters = {}
    for path in sorted((PROJECT / "conf/base").glob("parameters*.yml")):
        parameters |= dict(flatten(yaml.safe_load(path.read_text(encoding="utf-8"))))
    return parameters


def described_parameters():
    """Key and default of each row of the parameters' page that has both; without those of the catalog."""
    text = (REFERENCE / "parameters.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([\w.]+)` \| `([^`]*)` \|", text, re.MULTILINE)
    catalog = re.search(r"the catalog reads them:\n(.*?)\n## ", text, re.DOTALL)[1]
    return dict(row for row in rows if f"| `{row[0]}` | `{row[1]}` |" not in catalog)


def test_every_parameter_is_described_and_every_described_one_is_there():
    assert described_parameters().keys() == configured_parameters().keys()


def test_the_described_defaults_are_those_of_the_configuration():
    told, there = described_parameters(), configured_parameters()
    # The folder is that of the run.
    there |= {"report.data": "<data>", "evaluate.data": "<data>"}
    other = {key: (text, there[key]) for key, text in told.items() if not says(text, there[key])}
    assert other == {}


def says(text, value):
    return yaml.safe_load(text) == value or text == str(value)


def test_the_reference_of_tables_has_every_column_of_the_schemas_in_order():
    text = table_reference.PAGE.read_text(encoding="utf-8")
    assert table_reference.written_from_schemas(text) == text, "run python -m tests.table_reference"
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert [heading for heading in headings if heading in COLUMNS] == list(COLUMNS)


def test_every_feature_is_in_the_reference_of_tables():
    text = section((REFERENCE / "tables.md").read_text(encoding="utf-8"), "windows")
    named = {name for cell in table_cells(text) for name in re.findall(r"`(\w+)`", cell)}
    assert {*_FEATURES, *DEFAULT_FEATURES} - named == set()


def test_every_quarantine_reason_is_described_in_the_order_it_is_looked_for():
    text = section((REFERENCE / "status-values.md").read_text(encoding="utf-8"), "Quarantine reasons")
    named = [name for cell in table_cells(text) for name in re.findall(r"`(\w+)`", cell)]
    assert named == list(REASONS)


def test_every_catalog_entry_is_described():
    catalog = yaml.safe_load((PROJECT / "conf/base/catalog.yml").read_text(encoding="utf-8"))
    text = (REFERENCE / "catalog.md").read_text(encoding="utf-8")
    named = {name for cell in table_cells(text) for name in re.findall(r"`(\w+)`", cell)}
    assert {name for name in catalog if not name.startswith("_")} - named == set()


def commands(text):
    """The commands of a page: lines of console blocks and `code` that begins with kedro or make."""
    blocks = "\n".join(re.findall(r"```console\n(.*?)```", text, flags=re.DOTALL))
    found = re.findall(r"^(?:\$ )?(?:\.venv/bin/)?((?:kedro|make)\b.*)$", blocks, re.MULTILINE)
    return found + re.findall(r"`((?:kedro|make)(?: [^`]*)?)`", without_code(text))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_every_command_exists(page):
    found = commands(page.read_text(encoding="utf-8"))
    assert [command for command in found if not exists(command)] == []


def test_the_readme_leads_with_the_two_commands():
    found = commands((PROJECT / "README.md").read_text(encoding="utf-8"))
    assert [command.split("#")[0].strip() for command in found[:2]] == ["make run", "make test"]


MAKE_TARGETS = set(
    re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
)


def exists(command):
    program, *words = re.split(r"\s+#", command)[0].split()
    names = []
    for word in words:
        if not re.fullmatch(r"[a-z-]+", word) or word.startswith("-"):
            break
        names.append(word)
    if program == "make":
        return set(names) <= MAKE_TARGETS
    return is_kedro_command(names)


@cache
def kedro():
    """The commands of the project; to find them takes a second."""
    return KedroCLI(PROJECT)


def is_kedro_command(names):
    group = kedro()
    for name in names:
        if not hasattr(group, "get_command"):
            return True  # an argument, such as a sensor
        found = group.get_command(None, name)
        if found is None:
            return False
        group = found
    return True


def test_the_reference_of_the_api_has_every_name_of_it():
    text = (REFERENCE / "api.md").read_text(encoding="utf-8")
    assert re.findall(r"^::: batch_scoring\.api\.(\w+)$", text, re.MULTILINE) == api.__all__


def test_the_table_of_shapes_is_that_of_the_files_that_tests_read():
    text = format_reference.PAGE.read_text(encoding="utf-8")
    assert format_reference.written_from_shapes(text) == text, "run python -m tests.format_reference"
