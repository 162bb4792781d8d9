"""`sysmon service`: the agent or recorder as a systemd service, hardened."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.context import Context
from cli.output import write_json
from cli.unitfiles import MARK, make_unit, unit_name
from sysmon.errors import SysmonError, UsageError

if TYPE_CHECKING:
    import argparse

    from cli.unitfiles import Role

HELP = "run the recorder or the agent as a systemd service"
EXAMPLE = """sudo sysmon service install                record this host and the configured ones from now on
sudo sysmon service install --role agent   only serve this host, for a recorder elsewhere
sysmon service install --user              the same without root, for as long as you are logged in
sysmon service install --print             show the unit and change nothing
sysmon service status"""

ROLES: tuple[Role, ...] = ("record", "agent")
SYSTEM_UNITS = Path("/etc/systemd/system")
SECONDS = 60.0
"""Seconds that systemctl may take."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    install = commands.add_parser("install", help="write the unit, start it, and start it at every boot")
    install.add_argument("--role", choices=ROLES, default="record", help="recorder (the default) or agent")
    install.add_argument("--print", action="store_true", dest="show", help="print the unit and change nothing")
    remove = commands.add_parser("remove", help="stop it and remove its unit; the history stays")
    remove.add_argument("--role", choices=ROLES, help="only this one")
    status = commands.add_parser("status", help="say what is installed and how it is; status 1 when it does not run")
    status.add_argument("--role", choices=ROLES, help="only this one")
    status.add_argument("--json", action="store_true", help="print JSON")
    for sub, action in ((install, _install), (remove, _remove), (status, _status)):
        sub.add_argument("--user", action="store_true", help="of your own service manager; needs no root")
        sub.set_defaults(action=action)


def run(options: argparse.Namespace) -> int:
    """Runs the command."""
    status: int = options.action(options)
    return status


def _install(options: argparse.Namespace) -> int:
    context = Context.of_environment()
    program = _program()
    history = Path(context.config.history.path) if context.config.history.path else None
    paths = [history.parent] if history is not None and history.is_absolute() and not options.user else []
    unit = make_unit(options.role, [*program, f"--{options.role}"], user=options.user, paths=paths)
    if options.show:
        sys.stdout.write(unit.text)
        return 0
    _need_systemd(user=options.user)
    if not options.user:
        _check_reach(Path(program[0]))
    folder = _folder(user=options.user)
    path = folder / unit.name
    other = folder / unit_name("agent" if options.role == "record" else "record")
    if other.exists():
        raise SysmonError(
            f"{other.name} is installed, and one of the two is enough: a recorder serves this host as well",
            f"`sysmon service remove{_user(options)}` first",
        )
    if path.exists() and not path.read_text(errors="replace").startswith(MARK):
        raise SysmonError(f"{path} is not one that sysmon wrote", "move it away")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(unit.text)
    except OSError as error:
        raise _unwritable(path, error, user=options.user) from None
    _systemctl("daemon-reload", user=options.user)
    try:
        _systemctl("enable", unit.name, user=options.user)
        _systemctl("restart", unit.name, user=options.user)
    except SysmonError as error:
        hint = (
            f"`journalctl{_user(options)} -u {unit.name}` says why; `sysmon service remove{_user(options)}` undoes it"
        )
        raise SysmonError(f"{unit.name} is installed and does not start: {error.message}", hint) from None
    print(f"{unit.name} runs, and starts at every boot" if not options.user else f"{unit.name} runs")
    if options.user and not _lingers():
        print("it ends when you log out; `loginctl enable-linger` keeps it running")
    return 0


def _remove(options: argparse.Namespace) -> int:
    found = [path for path in _paths(options) if path.exists()]
    if not found:
        raise SysmonError("no service of sysmon is installed", f"`sysmon service install{_user(options)}` does that")
    for path in found:
        if not path.read_text(errors="replace").startswith(MARK):
            raise SysmonError(f"{path} is not one that sysmon wrote", "remove it by hand")
        _need_systemd(user=options.user)
        _systemctl("disable", "--now", path.name, user=options.user)
        try:
            path.unlink()
        except OSError as error:
            raise _unwritable(path, error, user=options.user) from None
        print(f"{path.name} is stopped and removed; its history is still there")
    _systemctl("daemon-reload", user=options.user)
    return 0


def _status(options: argparse.Namespace) -> int:
    found = [_state(path, user=options.user) for path in _paths(options) if path.exists()]
    if options.json:
        write_json(found)
    elif not found:
        print(f"no service of sysmon is installed; `sysmon service install{_user(options)}` does that")
    else:
        for each in found:
            since = f" since {each['since']}" if each["since"] else ""
            words = f": {each['status']}" if each["status"] else ""
            print(f"{each['unit']}  {each['state']}{since}{words}")
    return 0 if found and all(each["state"] == "active" for each in found) else 1


def _state(path: Path, *, user: bool) -> dict[str, Any]:
    wanted = ("ActiveState", "StatusText", "ActiveEnterTimestamp", "MainPID", "NRestarts", "UnitFileState")
    text = _systemctl("show", path.name, f"--property={','.join(wanted)}", user=user)
    values = dict(line.partition("=")[::2] for line in text.splitlines())
    return {
        "unit": path.name,
        "path": str(path),
        "state": values.get("ActiveState", "unknown"),
        "status": values.get("StatusText", ""),
        "since": values.get("ActiveEnterTimestamp", ""),
        "pid": int(values.get("MainPID") or 0) or None,
        "restarts": int(values.get("NRestarts") or 0),
        "enabled": values.get("UnitFileState") == "enabled",
    }


def _paths(options: argparse.Namespace) -> list[Path]:
    roles = ROLES if options.role is None else (options.role,)
    return [_folder(user=options.user) / unit_name(role) for role in roles]


def _folder(*, user: bool) -> Path:
    if not user:
        return SYSTEM_UNITS
    given = os.environ.get("XDG_CONFIG_HOME", "")
    return (Path(given) if given.startswith("/") else Path.home() / ".config") / "systemd" / "user"


def _program() -> list[str]:
    """The command that starts this very sysmon, by its full path."""
    script = Path(sys.argv[0])
    beside = Path(sys.executable).parent / "sysmon"
    if script.name == "sysmon" and script.is_absolute() and os.access(script, os.X_OK):
        found = [str(script)]
    elif os.access(beside, os.X_OK):
        found = [str(beside)]
    else:
        given = shutil.which("sysmon")
        found = [given] if given else [sys.executable, "-m", "sysmon"]
    return found


def _check_reach(program: Path) -> None:
    """Raises `SysmonError` where a service's own user could not reach the program or its interpreter."""
    for path in (program, Path(sys.executable), Path(__file__)):
        closed = next((each for each in path.resolve().parents if not each.stat().st_mode & 0o001), None)
        if closed is not None:
            raise SysmonError(
                f"{path} cannot be run by a service's own user: {closed} is closed to others",
                "install sysmon where all can read it, such as a virtual environment in /opt/sysmon, or use --user",
            )


def _need_systemd(*, user: bool) -> None:
    if not Path("/run/systemd/system").is_dir() or shutil.which("systemctl") is None:
        raise SysmonError(
            "systemd does not run here", "have your own service manager start `sysmon --record`; it logs to stderr"
        )
    if not user and os.geteuid() != 0:
        raise UsageError("a service of the system needs root", "put `sudo` before it, or add --user")


def _systemctl(*words: str, user: bool) -> str:
    command = ["systemctl", *(["--user"] if user else []), "--no-pager", *words]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except FileNotFoundError:
        raise SysmonError("systemctl is not installed here") from None
    except subprocess.TimeoutExpired:
        raise SysmonError(f"`{' '.join(command)}` did not end within {SECONDS:g} s") from None
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"status {done.returncode}"]
        raise SysmonError(f"`{' '.join(command)}`: {lines[0]}")
    return done.stdout


def _unwritable(path: Path, error: OSError, *, user: bool) -> SysmonError:
    hint = "" if user else "put `sudo` before it, or add --user"
    return SysmonError(f"{path} cannot be written: {error.strerror}", hint)


def _lingers() -> bool:
    return Path("/var/lib/systemd/linger", os.environ.get("USER", "")).is_file()


def _user(options: argparse.Namespace) -> str:
    return " --user" if options.user else ""
