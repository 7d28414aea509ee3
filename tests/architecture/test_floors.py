"""Import rules. The floors themselves are the contract in pyproject.toml; here are the rules beside it."""

import ast
import os
import subprocess
import sys
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import grimp
import pytest

from mcpward.operations.site import Site
from support.sources import modules

SDK_MAY_IMPORT = {"sdk", "core", "egress"}
MAY_IMPORT_SDK = {"sdk", "tools", "operations", "app", "cli", "testing"}
# Code that touches the world is in one package, so that one package is reviewed for it.
ONLY_IN = {
    "sqlalchemy": ("mcpward.storage", "mcpward.sdk.database"),
    "aiosqlite": ("mcpward.storage", "mcpward.sdk.database.database"),
    "sqlite3": ("mcpward.storage", "mcpward.sdk.database.database", "mcpward.sdk.database.connection"),
    "cryptography": ("mcpward.crypto",),
    "hiredis": ("mcpward.limits.redis",),
    "redis": (),
    "httpx2": ("mcpward.egress",),
    "joserfc": ("mcpward.identity.jwt.public_key", "mcpward.identity.jwt.signature"),
    "httpcore2": ("mcpward.egress",),
    "urllib.request": (),
    "uvicorn": ("mcpward.ingress", "mcpward.app", "mcpward.cli"),
    "typer": ("mcpward.cli",),
    "rich": ("mcpward.cli",),
    "pickle": (),
    "marshal": (),
    "shelve": (),
}


@cache
def graph() -> grimp.ImportGraph:
    return grimp.build_graph(
        "mcpward", include_external_packages=True, exclude_type_checking_imports=True, cache_dir=None
    )


def own_modules() -> list[str]:
    return sorted(name for name in graph().modules if name.split(".")[0] == "mcpward")


def room(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def importers_of(package: str) -> set[str]:
    found = set()
    for name in graph().modules:
        if name == package or name.startswith(package + "."):
            found |= graph().find_modules_that_directly_import(name)
    return found


def test_no_room_imports_from_its_own_floor_or_from_above(root: Path):
    linter = Path(sys.executable).with_name("lint-imports")
    run = subprocess.run(
        [linter, "--no-cache"],
        cwd=root,
        env=os.environ | {"NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_no_module_imports_itself_by_a_detour():
    imports = {name: graph().find_modules_directly_imported_by(name) for name in own_modules()}
    TopologicalSorter(imports).prepare()  # raises CycleError, which names the round


def test_the_sdk_stands_apart():
    above = {
        f"{importer} imports {imported}"
        for importer in own_modules()
        if room(importer) == "sdk"
        for imported in graph().find_modules_directly_imported_by(importer)
        if imported.startswith("mcpward.") and room(imported) not in SDK_MAY_IMPORT
    }
    assert not above


def test_only_the_rooms_that_load_tools_import_the_sdk():
    strangers = {name for name in importers_of("mcpward.sdk") if room(name) not in MAY_IMPORT_SDK}
    assert not strangers


@pytest.mark.parametrize("package", ONLY_IN)
def test_what_touches_the_world_is_imported_by_its_own_room_alone(package: str):
    homes = ONLY_IN[package]
    strangers = {
        name
        for name in importers_of(package)
        if name.startswith("mcpward") and not any(name == home or name.startswith(home + ".") for home in homes)
    }
    assert not strangers


def test_the_package_itself_imports_nothing_heavy():
    script = (
        "import sys; before = set(sys.modules); import mcpward; print(*sorted(set(sys.modules) - before), sep='\\n')"
    )
    run = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in run.stdout.split()}
    assert loaded - {"mcpward"} <= sys.stdlib_module_names
    assert not loaded & {"asyncio", "ssl", "http", "json", "sqlite3"}


def test_the_command_line_reaches_into_no_part_of_a_site():
    """It hands the opened site to a use case: another front end is to get the same answer from there."""
    reached = {
        f"{path}:{node.lineno} site.{node.attr}"
        for path, tree in modules().items()
        if path.parts[0] == "cli"
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "site"
        if node.attr in Site.__struct_fields__
    }
    assert not reached
