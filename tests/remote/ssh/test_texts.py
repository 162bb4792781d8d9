"""What a box prints and how it is taken apart, and why ssh fails: without a network."""

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remote.ssh.faults import explain, silent
from remote.ssh.frames import MAX_NOISE, Answers, Sample
from remote.ssh.line import arguments
from remote.ssh.runtime import MAX_CONTROL, Runtime, control_path
from remote.ssh.script import GROUPS, PRELUDE, SPECIAL, script
from remote.target import parse_target
from sysmon.errors import MalformedInput
from sysmon.frame import clean_text
from tests.conftest import FIXTURES, needs

B = "=0123456789abcdef0123456789abcdef"
BOX = parse_target("ssh://root@127.0.0.1:2222")
SHELLS = ("dash", "bash", "busybox sh")

contents = st.binary(max_size=300).map(lambda data: data.replace(b"\0", b""))
hostile = st.one_of(
    contents,
    st.lists(
        st.sampled_from(
            [b"/proc/stat:cpu 1 2", b"=0 r", b"= . 1", b"b 1", b"", b"/etc/passwd:x", b"\r", B[:-1].encode() + b" . 1"]
        ),
        max_size=6,
    ).map(b"\n".join),
)


def answered(data: bytes, pieces: int = 1) -> list[Sample]:
    """The answers in what a box printed, fed in so many pieces."""
    answers = Answers(B)
    size = max(1, -(-len(data) // pieces))
    return [sample for at in range(0, len(data), size) for sample in answers.feed(data[at : at + size])]


def lines_of(path: str, content: bytes) -> bytes:
    """A file as grep prints it."""
    lines = content.split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    return b"".join(path.encode() + b":" + line + b"\n" for line in lines)


@given(
    hostile,
    hostile,
    hostile,
    st.binary(max_size=200).filter(lambda noise: b"=" not in noise),
    st.integers(1, 400),
)
def test_files_come_back_as_they_were(first: bytes, second: bytes, raw: bytes, noise: bytes, pieces: int) -> None:
    raw_name = "/proc/7/cmdline"
    zone = "/sys/class/powercap/intel-rapl:0:1/name"
    printed = b"".join(
        [
            noise + b"\n",
            f"{B} r\n{B} b 7\n".encode(),
            f"{B} f {raw_name}\n".encode() + raw + f"\n{B} g\n".encode(),
            lines_of("/proc/stat", first),
            lines_of(zone, second),
            f"{B} . 7\n".encode(),
        ]
    )
    (sample,) = answered(printed, pieces)
    assert sample.token == "7"
    assert sample.texts[raw_name] == raw
    for path, content in (("/proc/stat", first), (zone, second)):
        lines = content.split(b"\n")
        wanted = content if lines[-1] == b"" else content + b"\n"
        assert sample.texts.get(path, b"") == wanted
    assert sample.texts.keys() <= {raw_name, "/proc/stat", zone}


@given(st.binary(max_size=500), st.binary(max_size=500))
def test_no_bytes_break_it_or_name_a_file_of_their_own(before: bytes, inside: bytes) -> None:
    inside = inside.replace(B.encode(), b"")
    for sample in answered(before + f"\n{B} r\n{B} b 1\n".encode() + inside + f"\n{B} . 1\n".encode()):
        assert all(path.startswith(("/proc/", "/sys/", "/etc/", "/run/", "/var/", "/usr/")) for path in sample.texts)
        assert not any(".." in path.split("/") for path in sample.texts)


@pytest.mark.parametrize(
    "path",
    [
        "/etc/shadow",
        "/proc/stat/../../etc/cron.d/x",
        "/sys/class/net/../../../etc/x/ifindex",
        "/sys/class/net/../ifindex",
        "/sys/class/net/a/b/ifindex",
        "/proc/1/environ",
        "//proc/stat",
        "/run/systemd/sessions/1.ref",
    ],
)
def test_a_name_that_the_script_does_not_print_is_passed_over(path: str) -> None:
    text = (
        f"{B} r\n{B} b 1\n{path}:x\n{B} f {path}\nx\n\n{B} e {path}\n{B} l\nlrwxrwxrwx 1 r r 0 {path} -> /x\n{B} . 1\n"
    )
    (sample,) = answered(text.encode())
    assert not sample.texts and not sample.links
    assert all(mark.count("..") == 0 for mark in sample.marks)


def test_sizes_of_stat_and_of_df() -> None:
    text = (
        f"{B} r\n{B} b 1\n{B} z\n4096 100 60 50 10 5 /my disk\nrubbish\n{B} . 1\n"
        f"{B} b 2\n{B} y\nFilesystem 1024-blocks Used Available Capacity Mounted on\n"
        f"/dev/root of me 264212084 26143412 80247500 25% /mnt/a b\ntmpfs 10 -5 3 - /x\n{B} . 2\n"
    )
    exact, told = answered(text.encode())
    assert exact.sizes == {"/my disk": (4096, 100, 60, 50, 10, 5)}
    assert told.sizes == {"/mnt/a b": (1024, 264212084, 264212084 - 26143412, 80247500, 0, 0)}


def test_endless_noise_and_an_endless_answer_are_refused() -> None:
    answers = Answers(B)
    with pytest.raises(MalformedInput):
        for _ in range(MAX_NOISE // 1000 + 2):
            list(answers.feed(b"x" * 999 + b"\n"))
    assert answers.noise.startswith(b"xxx") and len(answers.noise) <= 2048
    answers = Answers(B)
    list(answers.feed(f"{B} r\n{B} b 1\n".encode()))
    with pytest.raises(MalformedInput):
        for _ in range(20):
            list(answers.feed(b"/proc/stat:" + b"x" * (1 << 20)))


@pytest.mark.parametrize("shell", SHELLS)
@given(st.lists(contents, min_size=1, max_size=3))
@settings(max_examples=15)
def test_real_shells_print_what_files_hold(shell: str, files: list[bytes]) -> None:
    """The script's own functions, over files of any content; without a trailing newline grep adds one."""
    needs(shell.split()[0])
    folder = Path("/dev/shm/sysmon-test") if Path("/dev/shm").is_dir() else Path("/tmp/sysmon-test")
    folder = folder.with_name(f"{folder.name}-{shell[:4]}")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    names = []
    for index, content in enumerate(files):
        (folder / f"f{index}").write_bytes(content)
        names.append(str(folder / f"f{index}"))
    text = PRELUDE.replace("@BOUNDARY@", B) + f'g "{names[0]}"\nraw {" ".join(names)}\n}}\nmain; exit\n'
    printed = subprocess.run([*shell.split(), "-s"], input=text.encode(), capture_output=True, check=False).stdout
    shutil.rmtree(folder)
    wanted = lines_of(names[0], files[0])
    for name, content in zip(names, files, strict=True):
        wanted += f"{B} f {name}\n".encode() + content + b"\n"
    assert printed == wanted + f"{B} g\n".encode()


@pytest.mark.parametrize("shell", SHELLS)
def test_real_shells_answer_every_group(shell: str) -> None:
    needs(shell.split()[0])
    groups = [*GROUPS, "sensors", "gpu", "links", "logins", "pids", "agent", "system", "clock"]
    with subprocess.Popen([*shell.split(), "-s"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as box:
        assert box.stdin is not None and box.stdout is not None
        box.stdin.write(script(B).encode())
        box.stdin.flush()
        answers = Answers(B)
        while not answers.ready:
            list(answers.feed(box.stdout.readline()))
        request = f"1 {' '.join(groups)}\n2 describe sizes\n{box.pid} 999999999\n/\n/nowhere\n\n"
        box.stdin.write(request.encode())
        box.stdin.flush()
        found: list[Sample] = []
        while len(found) < 2:
            found += answers.feed(box.stdout.readline())
        box.stdin.close()  # it ends with its input
        assert box.wait(5) == 0
    whole, second = found
    assert answers.strange == 0
    assert {"/proc/uptime", "/proc/stat", "/proc/meminfo", "/proc/net/dev", "/sys/class/net/lo/ifindex"} <= (
        whole.texts.keys()
    )
    assert whole.texts["/etc/passwd"].rstrip(b"\n") == Path("/etc/passwd").read_bytes().rstrip(b"\n")
    assert box.pid in (whole.pids or [])
    assert whole.facts["system"] == "Linux" and whole.facts["clock"]
    assert second.sizes.keys() == {"/"}
    assert second.texts[f"/proc/{box.pid}/cmdline"].split(b"\0")[-2] == b"-s"
    assert b"Uid:" in second.texts[f"/proc/{box.pid}/status"]


def test_the_script_is_ascii_and_asks_only_for_what_is_taken_apart() -> None:
    text = script(B)
    assert text.isascii() and "@" not in text.replace('"$@"', "")
    for name in (*GROUPS, *SPECIAL):
        assert f"\n{name}) " in text


def test_the_boundary_and_the_script_are_in_no_list_of_processes() -> None:
    words = arguments(BOX, Path("/run/x"))
    assert words[-3:] == ["--", "root@127.0.0.1", "exec sh -s"]
    assert "BatchMode=yes" in words and words[words.index("-p") + 1] == "2222"


@pytest.mark.parametrize("base", ["-oProxyCommand=x", "-l", ""])
def test_a_host_that_looks_like_an_option_is_refused(base: str) -> None:
    from remote.ssh.faults import SshFault

    with pytest.raises(SshFault):
        arguments(BOX._replace(base=base), Path("/run/x"))


def test_sockets_have_short_names_in_a_private_folder(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    short = tmp_path_factory.getbasetemp() / "s"
    runtime = Runtime(short)
    folder = runtime.folder()
    assert folder == short / "ssh" and folder.stat().st_mode & 0o777 == 0o700
    other = BOX._replace(port=22)
    assert control_path(folder, BOX) == control_path(folder, BOX) != control_path(folder, other)
    deep = Runtime(tmp_path / ("d" * 90))
    assert len(str(control_path(deep.folder(), BOX))) <= MAX_CONTROL
    made = deep.folder()
    deep.close()
    assert not made.exists()
    odd = Runtime(tmp_path / "with space %h")
    assert " " not in str(odd.folder())
    odd.close()


KINDS = {
    "bad_hostname": "unknown_host",
    "hostkey_changed": "key_changed",
    "hostkey_unknown": "key_unknown",
    "refused": "refused",
    "remote_not_found": "no_shell",
    "remote_rc3": "restricted",
    "timeout": "timeout",
    "wrong_key": "denied",
}


@pytest.mark.parametrize("name", KINDS)
def test_the_ways_ssh_fails_are_told_apart(name: str) -> None:
    folder = FIXTURES / "ssh"
    errors, status = (folder / f"{name}.err").read_text(), int((folder / f"{name}.rc").read_text())
    fault = explain(BOX, status, errors)
    assert fault.kind == KINDS[name]
    assert str(BOX) in fault.message and fault.hint
    assert "\n" not in str(fault) and "\x1b" not in str(fault)


def test_a_changed_host_key_names_the_key_and_the_mend() -> None:
    fault = explain(BOX, 255, (FIXTURES / "ssh" / "hostkey_changed.err").read_text())
    assert "SHA256:vZtUXfCLQDqEeOOEMnOpVY9aGHC5wljrwEWdEAX2eow" in fault.message
    assert "ssh-keygen -f kh_bad -R '[127.0.0.1]:2222'" in fault.hint and fault.lasting and fault.pause >= 60
    # A name of ~/.ssh/config stands in known_hosts under what it means.
    said = "WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!\nOffending ED25519 key in /home/me/.ssh/known_hosts:3\n"
    said += "Host key for [10.0.0.7]:42322 has changed and you have requested strict checking.\n"
    assert "ssh-keygen -R '[10.0.0.7]:42322', then" in explain(BOX, 255, said).hint


def test_a_dropped_connection_is_no_lasting_fault() -> None:
    fault = explain(BOX, 255, "Connection to 127.0.0.1 closed by remote host.\r\n", greeted=True)
    assert fault.kind == "dropped" and not fault.lasting
    assert "closed by remote host" in fault.message
    assert explain(BOX, 255, "Timeout, server 127.0.0.1 not responding.").kind == "silent"


def test_what_a_restricted_shell_says_is_shown_without_its_colours() -> None:
    fault = explain(BOX, 1, "", b"\x1b[31mThis account is currently not available.\x1b[0m\n")
    assert fault.kind == "restricted" and "This account is currently not available." in fault.message
    assert "\x1b" not in fault.message
    assert silent(BOX, 5, greeted=False, noise=b"Welcome to the menu, choose 1-9\n").kind == "restricted"
    assert silent(BOX, 5, greeted=False).kind == "silent"


@given(st.text(st.characters(codec="utf-8"), max_size=200), st.integers(0, 255), st.binary(max_size=100), st.booleans())
def test_any_failure_has_words(errors: str, status: int, noise: bytes, greeted: bool) -> None:
    fault = explain(BOX, status, errors, noise, greeted=greeted)
    assert fault.message and clean_text(str(fault)) == str(fault)
