"""Saving what was set on the screen into config.toml, comments and order kept."""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING

from sysmon.errors import SysmonError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def save_screen(path: Path, settings: Mapping[str, object]) -> None:
    """Writes keys of [screen]; the file is replaced in one step, so that it is never half written.

    Raises:
        SysmonError: the file cannot be read as TOML, or not be written.
    """
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    target = path.resolve()
    try:
        document = tomlkit.parse(target.read_text() if target.exists() else "")
        table = document.setdefault("screen", tomlkit.table())
        for key, value in settings.items():
            table[key] = value
        target.parent.mkdir(parents=True, exist_ok=True)
        mode = target.stat().st_mode & 0o777 if target.exists() else 0o600
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=".config-")
        try:
            with os.fdopen(handle, "w") as file:
                file.write(tomlkit.dumps(document))
                file.flush()
                os.fsync(file.fileno())
            os.chmod(name, mode)
            os.replace(name, target)
        except BaseException:
            os.unlink(name)
            raise
    except (OSError, TOMLKitError) as error:
        raise SysmonError(f"{path} cannot be saved: {error}", "set [screen] there by hand") from None
