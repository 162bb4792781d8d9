"""Who imports what, beyond what the contracts in pyproject.toml can say."""

import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGES = ("sysmon", "collectors", "store", "alerts", "remote", "tui", "cli")


def imports(file: Path) -> Iterator[str]:
    """Dotted names that a module imports, wherever in it."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def importers(checkout: Path, library: str) -> list[str]:
    """Modules of the program that import a library, as paths in the checkout."""
    return sorted(
        file.relative_to(checkout).as_posix()
        for package in PACKAGES
        for file in (checkout / package).rglob("*.py")
        if library in file.read_text() and any(name.partition(".")[0] == library for name in imports(file))
    )


def test_httpx_is_imported_in_one_module(checkout: Path) -> None:
    """Its successor has the same interface under another name: changing over is then one line."""
    assert len(importers(checkout, "httpx")) <= 1


def test_only_the_saving_of_settings_imports_tomlkit(checkout: Path) -> None:
    assert len(importers(checkout, "tomlkit")) <= 1
