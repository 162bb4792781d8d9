"""What is written in one place agrees with what is written in the others."""

import ast
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.version import Version


@pytest.fixture(scope="module")
def pyproject(checkout: Path) -> dict[str, Any]:
    return tomllib.loads((checkout / "pyproject.toml").read_text())


def packages_in(root: Path) -> set[str]:
    """Names of the import packages beside pyproject.toml, tests and measurements apart."""
    found = set[str]()
    for init in root.glob("*/**/__init__.py"):
        folder = init.parent.relative_to(root)
        if folder.parts[0] not in {"tests", "bench", "build", "dist"} and not folder.parts[0].startswith("."):
            found.add(".".join(folder.parts))
    return found


def test_every_package_is_listed(checkout: Path, pyproject: dict[str, Any]) -> None:
    assert packages_in(checkout) == set(pyproject["tool"]["setuptools"]["packages"])


def test_every_folder_of_modules_is_a_package(checkout: Path, pyproject: dict[str, Any]) -> None:
    tops = {name.partition(".")[0] for name in pyproject["tool"]["setuptools"]["packages"]} | {"tests"}
    folders = {
        module.parent
        for top in tops
        for module in (checkout / top).rglob("*.py")
        if not module.is_relative_to(checkout / "tests" / "fixtures")
    }
    assert [str(folder) for folder in folders if not (folder / "__init__.py").exists()] == []


def test_packages_are_typed_and_their_init_holds_a_docstring_only(checkout: Path) -> None:
    for name in packages_in(checkout):
        folder = checkout.joinpath(*name.split("."))
        assert (folder / "py.typed").exists(), f"{name} has no py.typed"
        body = ast.parse((folder / "__init__.py").read_text()).body
        assert len(body) == 1, f"{name}/__init__.py holds more than a docstring"
        assert isinstance(body[0], ast.Expr)
        assert isinstance(body[0].value, ast.Constant)


def test_changelog_begins_with_the_version(checkout: Path, pyproject: dict[str, Any]) -> None:
    newest = re.search(r"^## \[(?!Unreleased)([^\]]+)\]", (checkout / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest is not None
    assert newest[1] == pyproject["project"]["version"]


def test_readme_begins_with_the_two_commands(checkout: Path) -> None:
    lines = [line.strip() for line in (checkout / "README.md").read_text().splitlines() if line.strip()]
    assert lines[0] == "# sysmon"
    commands = [line.split("#")[0].strip() for line in lines[1:] if line.startswith("make ")]
    assert commands[:2] == ["make run", "make test"]
    assert all(line.startswith("make ") for line in lines[1:3]), "something stands before the two commands"


def test_makefile_offers_what_the_readme_names(checkout: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (checkout / "Makefile").read_text(), re.MULTILINE))
    pages = [checkout / "README.md", *(checkout / "docs").glob("**/*.md")]
    named = {name for page in pages for name in re.findall(r"(?:`| {4})make ([a-z]+)", page.read_text())}
    assert {"run", "test"} <= named <= targets


PIN = re.compile(r"^(?P<name>[a-z0-9][a-z0-9._-]*)==(?P<version>[^ ;\\]+)(?P<marker> ;[^\\]*)?", re.MULTILINE)


def pins(text: str) -> dict[str, Version]:
    return {match["name"]: Version(match["version"]) for match in PIN.finditer(text)}


@pytest.fixture(scope="module")
def locks(checkout: Path) -> dict[str, str]:
    return {name: (checkout / "requirements" / f"{name}.txt").read_text() for name in ("runtime", "dev")}


@pytest.mark.parametrize("kind", ["runtime", "dev"])
def test_lock_names_no_host_and_no_option(locks: dict[str, str], kind: str) -> None:
    assert "://" not in locks[kind]
    assert " @ " not in locks[kind]
    assert not re.search(r"^\s*-(?!-hash=)", locks[kind], re.MULTILINE), "an option such as --index-url"


@pytest.mark.parametrize("kind", ["runtime", "dev"])
def test_every_pin_has_a_hash(locks: dict[str, str], kind: str) -> None:
    blocks = re.split(r"(?m)^(?=[a-z0-9])", re.sub(r"(?m)^ *#.*\n", "", locks[kind]))
    blocks = [block for block in blocks if block.strip()]
    assert len(blocks) == len(pins(locks[kind])) > 20
    for block in blocks:
        assert re.search(r"--hash=sha256:[0-9a-f]{64}\b", block), block.splitlines()[0]


def test_dev_lock_holds_the_runtime_lock(locks: dict[str, str]) -> None:
    assert pins(locks["runtime"]).items() <= pins(locks["dev"]).items()


def test_locks_satisfy_what_pyproject_asks_for(locks: dict[str, str], pyproject: dict[str, Any]) -> None:
    groups = pyproject["dependency-groups"]
    wanted = {
        "runtime": [*pyproject["project"]["dependencies"], *groups["build"], *pyproject["build-system"]["requires"]],
        "dev": [entry for entry in groups["dev"] if isinstance(entry, str)],
    }
    for kind, requirements in wanted.items():
        locked = pins(locks[kind])
        for requirement in map(Requirement, requirements):
            assert requirement.name in locked, f"{requirement.name} is not in requirements/{kind}.txt: run make lock"
            assert locked[requirement.name] in requirement.specifier, f"{requirement} is not met: run make lock"


def test_system_packages_are_plain_names(checkout: Path) -> None:
    lines = (checkout / "scripts" / "system-packages.txt").read_text().splitlines()
    names = [line.split("#")[0].strip() for line in lines if line.split("#")[0].strip()]
    assert names == sorted(set(names)), "keep the list sorted and without doubles"
    assert all(re.fullmatch(r"[a-z0-9][a-z0-9.+-]*", name) for name in names)
