"""`scripts/venv`, which `make run` and `make test` stand on.

A stand-in for Python records what is asked of it; nothing is downloaded or installed.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

STAND_IN = """\
#!/bin/sh
echo "$*" >>"{log}"
case "$*" in
  *version_info\\ \\<*) exit {old} ;;
  "-c import ensurepip, venv") exit {bare} ;;
  *python%d*) echo python3.12-venv ;;
  --version) echo "Python 3.{minor}.1" ;;
  "-m venv "*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
  *--require-hashes*) exit $(cat "{log}.fails" 2>/dev/null || echo 0) ;;
esac
"""


class Checkout:
    """A folder with the script and what it reads, and a PATH on which `python3` is the stand-in."""

    def __init__(self, source: Path, folder: Path) -> None:
        self.root = folder / "a checkout"
        self.log = folder / "log"
        self.bin = folder / "bin"
        (self.root / "scripts").mkdir(parents=True)
        (self.root / "requirements").mkdir()
        self.bin.mkdir()
        shutil.copy(source / "scripts" / "venv", self.root / "scripts" / "venv")
        for name in ("pyproject.toml", "requirements/runtime.txt", "requirements/dev.txt"):
            (self.root / name).write_text(f"{name}\n")
        for tool in ("sh", "cat", "cksum", "cp", "dirname", "id", "mkdir", "mv", "rm", "sed"):
            (self.bin / tool).symlink_to(str(shutil.which(tool)))

    def install_python(self, *, name: str = "python3", old: bool = False, bare: bool = False) -> None:
        self.install(name, STAND_IN.format(log=self.log, old=int(old), bare=int(bare), minor=9 if old else 12))

    def install(self, name: str, text: str) -> None:
        """Put a program on the PATH, in place of a link to the system's one rather than through it."""
        program = self.bin / name
        program.unlink(missing_ok=True)
        program.write_text(text)
        program.chmod(0o755)

    def run(self, kind: str = "runtime", **environment: str) -> subprocess.CompletedProcess[str]:
        self.log.write_text("")
        return subprocess.run(
            [str(self.root / "scripts" / "venv"), kind],
            env={"PATH": str(self.bin), **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def calls(self) -> list[str]:
        return self.log.read_text().splitlines()

    def installs(self) -> list[str]:
        return [call for call in self.calls if "--require-hashes" in call]

    def made(self) -> bool:
        return "-m venv .venv" in self.calls


@pytest.fixture
def folder(checkout: Path, tmp_path: Path) -> Checkout:
    return Checkout(checkout, tmp_path)


def test_makes_the_environment_and_then_does_nothing(folder: Checkout) -> None:
    folder.install_python()
    assert folder.run().returncode == 0
    assert folder.made()
    assert len(folder.installs()) == 1
    assert "requirements/runtime.txt" in folder.installs()[0]
    assert any("--no-build-isolation --editable ." in call for call in folder.calls)
    assert folder.run().returncode == 0
    assert folder.calls == []


def test_the_test_tools_are_added_once_and_serve_both_commands(folder: Checkout) -> None:
    folder.install_python()
    folder.run("runtime")
    assert folder.run("dev").returncode == 0
    assert not folder.made()
    assert "requirements/dev.txt" in folder.installs()[0]
    for kind in ("runtime", "dev"):
        folder.run(kind)
        assert folder.calls == []


def test_a_changed_lock_is_installed_into_the_same_environment(folder: Checkout) -> None:
    folder.install_python()
    folder.run()
    (folder.root / "requirements" / "runtime.txt").write_text("other\n")
    assert folder.run().returncode == 0
    assert not folder.made()
    assert len(folder.installs()) == 1


def test_a_half_made_environment_is_made_anew(folder: Checkout) -> None:
    folder.install_python()
    Path(f"{folder.log}.fails").write_text("1")
    assert folder.run().returncode != 0
    left = folder.root / ".venv" / "left by the first try"
    left.touch()
    Path(f"{folder.log}.fails").unlink()
    assert folder.run().returncode == 0
    assert folder.made()
    assert not left.exists()


def test_an_update_that_fails_keeps_the_environment_and_is_tried_again(folder: Checkout) -> None:
    folder.install_python()
    folder.run()
    (folder.root / "requirements" / "runtime.txt").write_text("other\n")
    Path(f"{folder.log}.fails").write_text("1")
    assert folder.run().returncode != 0
    Path(f"{folder.log}.fails").unlink()
    assert folder.run().returncode == 0
    assert not folder.made()
    assert len(folder.installs()) == 1


def test_a_moved_checkout_gets_a_new_environment(folder: Checkout) -> None:
    folder.install_python()
    folder.run()
    folder.root = folder.root.rename(folder.root.with_name("elsewhere"))
    assert folder.run().returncode == 0
    assert folder.made()


def test_a_newer_python_is_found_beside_an_old_one(folder: Checkout) -> None:
    folder.install_python(old=True)
    folder.install_python(name="python3.13")
    done = folder.run()
    assert done.returncode == 0, done.stderr
    assert (folder.root / ".venv").exists()


def test_an_old_python_is_refused_in_one_sentence(folder: Checkout) -> None:
    folder.install_python(old=True)
    done = folder.run()
    assert done.returncode == 1
    assert done.stderr.startswith("sysmon needs Python 3.11 or newer, and here is Python 3.9.1: ")
    assert done.stderr.count("\n") == 1
    assert not (folder.root / ".venv").exists()


def test_a_named_python_must_do(folder: Checkout) -> None:
    folder.install_python()
    done = folder.run(PYTHON="/nowhere/python")
    assert done.returncode == 1
    assert done.stderr == "PYTHON='/nowhere/python' is not a Python 3.11 or newer.\n"


@pytest.mark.parametrize("user", [0, 1000])
def test_debian_without_ensurepip(folder: Checkout, user: int) -> None:
    folder.install_python(bare=True)
    folder.install("id", f"#!/bin/sh\necho {user}\n")
    folder.install("apt-get", f'#!/bin/sh\necho "apt-get $*" >>"{folder.log}"\n')
    done = folder.run()
    if user == 0:
        assert done.returncode == 0, done.stderr
        assert "apt-get install -y --no-install-recommends python3.12-venv" in folder.calls
        assert folder.made()
    else:
        assert done.returncode == 1
        assert "    sudo apt-get install -y --no-install-recommends python3.12-venv\n" in done.stderr
        assert not any(call.startswith("apt-get") for call in folder.calls)


def test_elsewhere_without_ensurepip_says_what_to_install(folder: Checkout) -> None:
    folder.install_python(bare=True)
    done = folder.run()
    assert done.returncode == 1
    assert "lacks the modules venv and ensurepip" in done.stderr


def test_settings_of_the_shell_do_not_reach_it(folder: Checkout) -> None:
    text = STAND_IN.replace(
        "#!/bin/sh\n", '#!/bin/sh\n[ -z "$PYTHONDONTWRITEBYTECODE$PYTHONPATH$PYTHONHOME" ] || exit 9\n'
    )
    folder.install("python3", text.format(log=folder.log, old=0, bare=0, minor=12))
    done = folder.run(PYTHONDONTWRITEBYTECODE="1", PYTHONPATH=os.devnull, PYTHONHOME=os.devnull)
    assert done.returncode == 0, done.stderr
