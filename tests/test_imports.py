"""Which room may import which, held by the import graph of the source itself."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("connectors", "warehouse", "orchestration")


def sources(room: str) -> list[Path]:
    return sorted((ROOT / room).rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports stand in full"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def offenders(room: str, *forbidden: str) -> list[str]:
    return [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in sources(room)
        for name in imports(path)
        if any(name == module or name.startswith(f"{module}.") for module in forbidden)
    ]


def test_connectors_know_neither_the_warehouse_nor_dagster_nor_sql() -> None:
    assert offenders("connectors", "warehouse", "orchestration", "dagster", "sqlalchemy", "duckdb", "psycopg") == []


def test_the_warehouse_knows_neither_the_vendors_nor_dagster_nor_http() -> None:
    assert offenders("warehouse", "connectors", "orchestration", "dagster", "requests", "urllib3", "httpx") == []


def test_only_orchestration_reads_the_environment() -> None:
    names = ("os.environ", "os.getenv", "dotenv", "pydantic_settings")
    assert [*offenders("connectors", *names), *offenders("warehouse", *names)] == []
    for room in ("connectors", "warehouse"):
        for path in sources(room):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            reads = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv")]
            assert not reads, f"{path.relative_to(ROOT)} reads the environment"


def test_within_orchestration_only_the_settings_read_it() -> None:
    reading = {
        path.name
        for path in sources("orchestration")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv")
    }
    assert reading == {"settings.py"}


def test_the_stand_ins_are_for_the_demo_alone() -> None:
    elsewhere = [path for room in ROOMS for path in sources(room) if "sandbox" not in path.parts and path.name != "demo.py"]
    assert [path for path in elsewhere for name in imports(path) if "connectors.sandbox" in name] == []


def test_zenpy_whose_licence_binds_whoever_distributes_it_is_imported_in_one_file() -> None:
    users = [path.name for room in ROOMS for path in sources(room) if any(n.split(".")[0] == "zenpy" for n in imports(path))]
    assert users == ["zendesk.py"]


def test_nothing_imports_from_inside_dagster() -> None:
    assert [*offenders("orchestration", "dagster._core", "dagster._utils"), *offenders("tests", "dagster._core")] == []


@pytest.mark.parametrize("room", ROOMS)
def test_every_module_says_what_belongs_there(room: str) -> None:
    for path in sources(room):
        text = path.read_text(encoding="utf-8")
        assert not text or ast.get_docstring(ast.parse(text)), f"{path.relative_to(ROOT)} has no docstring"
