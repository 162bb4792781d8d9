"""What the wheel holds, built as a release is: from the sdist."""

import configparser
import fcntl
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def wheel(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("dist")
    # Setuptools writes into the checkout: one at a time, where tests run side by side.
    with (checkout / "tests/packaging/test_wheel.py").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return built(checkout, folder)


def built(checkout: Path, folder: Path) -> zipfile.ZipFile:
    """Builds it."""
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(checkout)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    (file,) = folder.glob("*.whl")
    return zipfile.ZipFile(file)


@pytest.fixture(scope="module")
def packages(checkout: Path) -> list[str]:
    listed: list[str] = tomllib.loads((checkout / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    return listed


def test_wheel_holds_every_file_of_every_package(checkout: Path, wheel: zipfile.ZipFile, packages: list[str]) -> None:
    tops = {name.partition(".")[0] for name in packages}
    expected = {
        path.relative_to(checkout).as_posix()
        for top in tops
        for path in (checkout / top).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith(".")
    }
    held = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert held == expected, "name the missing kind of file in [tool.setuptools.package-data]"


def test_wheel_puts_nothing_else_beside_the_packages(wheel: zipfile.ZipFile, packages: list[str]) -> None:
    tops = {name.partition("/")[0] for name in wheel.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {name.partition(".")[0] for name in packages}


def test_wheel_brings_the_command_and_the_licence(wheel: zipfile.ZipFile) -> None:
    (entry_points,) = (name for name in wheel.namelist() if name.endswith("/entry_points.txt"))
    parser = configparser.ConfigParser()
    parser.read_string(wheel.read(entry_points).decode())
    assert dict(parser["console_scripts"]) == {"sysmon": "sysmon.__main__:main"}
    assert any(name.endswith("/licenses/LICENSE") for name in wheel.namelist())
