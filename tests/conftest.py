"""Fixtures that every test has: a home of its own, and what a machine may lack said plainly."""

import os
import shutil
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.order import dealt

FIXTURES = Path(__file__).parent / "fixtures"


def needs(*programs: str) -> None:
    """Skip the running test where a program is missing; in CI (`SYSMON_CI=1`) fail it instead.

    Args:
        programs: names looked up on PATH and in the system's own folders, such as `ip` or `tmux`.
    """
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
    missing = [program for program in programs if shutil.which(program, path=path) is None]
    if not missing:
        return
    reason = f"not installed: {', '.join(missing)}"
    if os.environ.get("SYSMON_CI") == "1":
        pytest.fail(f"{reason}; name its package in scripts/system-packages.txt", pytrace=False)
    pytest.skip(reason)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deal the tests to the processes of `pytest -n`; each of them comes to the same order."""
    items[:] = dealt(items, getattr(config, "workerinput", {}).get("workercount", 1))


@pytest.fixture(autouse=True)
def _needed_programs(request: pytest.FixtureRequest) -> None:
    """Apply `@pytest.mark.needs("ip", "tmux")`."""
    for marker in request.node.iter_markers("needs"):
        needs(*marker.args)


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give each test its own home and XDG folders, and none of the developer's `SYSMON_*` settings."""
    home = tmp_path_factory.mktemp("home")
    for name in [name for name in os.environ if name.startswith("SYSMON_") and name != "SYSMON_CI"]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    folders = {"CONFIG": ".config", "STATE": ".local/state", "DATA": ".local/share", "CACHE": ".cache"}
    for name, folder in folders.items():
        monkeypatch.setenv(f"XDG_{name}_HOME", str(home / folder))
    runtime = home / "run"
    runtime.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    return home


@pytest.fixture
def anyio_backend() -> str:
    """Run async tests on asyncio, which is what the program runs on."""
    return "asyncio"


@pytest.fixture(scope="session")
def fixtures() -> Path:
    """The folder of captured trees and recorded inputs."""
    return FIXTURES


@pytest.fixture(scope="session")
def checkout() -> Path:
    """The folder of the sources; tests that read them are skipped where only the installed program is."""
    root = Path(__file__).parent.parent
    if not (root / "sysmon").is_dir():
        pytest.skip("not run from a checkout")
    return root


if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell's background job ignores ^C and ^\, and so would every program that is started here.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)

settings.register_profile("sysmon", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("sysmon")
