"""Reading of small files: what a path that cannot be gives."""

from pathlib import Path

import pytest

from collectors._sysfs import entries, number, target, text
from collectors.base import read_file, read_text
from sysmon.errors import NoData, Unsupported


def test_a_name_that_no_kernel_gives_is_not_there(tmp_path: Path) -> None:
    path = f"{tmp_path}/a\0b"
    with pytest.raises(NoData, match="is no path"):
        read_file(path)
    with pytest.raises(NoData, match="is no path"):
        read_text(Path(path))
    assert text(path) is None and number(path) is None and entries(path) == [] and target(path) == ""


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(Unsupported):
        read_file(str(tmp_path))


@pytest.mark.parametrize(("content", "value"), [("12\n", 12), ("-3", -3), ("9" * 19, None), ("9" * 5000, None)])
def test_a_number_has_64_bits(tmp_path: Path, content: str, value: int | None) -> None:
    (tmp_path / "n").write_text(content)
    assert number(str(tmp_path / "n")) == value
