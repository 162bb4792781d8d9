"""The table of mounts: parsing /proc/self/mountinfo, and which of them stand for a filesystem of their own."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, NamedTuple

from collectors.base import malformed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sysmon.errors import MalformedInput

LOCAL_TYPES = frozenset(
    "ext2 ext3 ext4 xfs btrfs bcachefs f2fs jfs nilfs2 reiserfs vfat msdos exfat ntfs ntfs3 hfs hfsplus apfs ubifs "
    "jffs2 minix ufs zfs tmpfs ramfs overlay squashfs erofs cramfs romfs iso9660 udf devtmpfs".split()
)
"""Types whose size the kernel knows without asking anybody. All others are asked by a child process."""

NETWORK_TYPES = frozenset(
    "nfs nfs4 cifs smb3 smbfs ncpfs afs ceph lustre 9p gfs gfs2 ocfs2 glusterfs beegfs orangefs davfs coda "
    "fuse.sshfs fuse.rclone fuse.s3fs fuse.gcsfuse fuse.goofys fuse.glusterfs fuse.ceph-fuse fuse.davfs2 fuse.cephfs "
    "fuse.curlftpfs fuse.moosefs fuse.juicefs fuse.seaweedfs fuse.blobfuse2 fuse.mount-s3".split()
)
"""Types that live on another machine."""

PSEUDO_TYPES = frozenset(
    "autofs binder binfmt_misc bpf cgroup cgroup2 configfs cpuset debugfs devfs devpts devtmpfs efivarfs fdescfs "
    "fusectl hugetlbfs linprocfs mqueue nsfs none pipefs proc procfs pstore resctrl rootfs rpc_pipefs securityfs "
    "selinuxfs smackfs sockfs sysfs tracefs usbfs nfsd xenfs vboxguest".split()
)
"""Types that hold no data. autofs is among them: asking one would mount what it stands for."""

SKIPPED_TYPES = frozenset(
    "squashfs erofs cramfs romfs iso9660 fuse.snapfuse fuse.squashfuse fuse.portal fuse.gvfsd-fuse fuse.lxcfs "
    "fuse.archivemount fuse.AppImage fuse.fuse-overlayfs".split()
)
"""Types left out by default except at /: images that are full by nature, and views of something else."""

SKIPPED_POINTS = (
    "/run/credentials/*",
    "/run/user/*",
    "/run/lock",
    "/var/lib/private",  # made by systemd around a service of a transient user, as ours is
    "/var/cache/private",
    "/var/log/private",
    "/run/snapd/*",
    "/run/docker/*",
    "/run/containerd/*",
    "/run/k3s/*",
    "/var/lib/docker/*",
    "/var/lib/containers/*",
    "/var/lib/containerd/*",
    "/var/lib/kubelet/*",
    "/var/lib/rancher/*",
    "/var/lib/lxcfs",
    "/var/snap/*",
    "/snap/*",
    "/proc/*",
    "/sys/*",
    "/etc/hosts",
    "/etc/hostname",
    "/etc/resolv.conf",
)
"""Mount points left out by default: those that services make for themselves, and files bound into containers."""


class Mount(NamedTuple):
    """One line of mountinfo, escapes decoded; invalid UTF-8 as surrogate escapes.

    `device` is 'major:minor'; `root` the folder of the filesystem that is seen at `point`.
    """

    identity: int
    parent: int
    device: str
    root: str
    point: str
    options: str
    type: str
    source: str
    super_options: str

    @property
    def read_only(self) -> bool:
        """Whether nothing can be written here."""
        return "ro" in self.options.split(",") or "ro" in self.super_options.split(",")

    @property
    def remote(self) -> bool:
        """Whether its data lie on another machine."""
        return self.type in NETWORK_TYPES


def parse_mountinfo(content: str, path: str = "/proc/self/mountinfo") -> tuple[list[Mount], list[MalformedInput]]:
    """Parses mountinfo.

    Args:
        content: the whole file.
        path: named in errors.

    Returns:
        The mounts in the file's order, and an error for each line that is none.

    Source: proc_pid_mountinfo(5).
    """
    mounts, problems = [], []
    for index, line in enumerate(content.split("\n"), start=1):
        if not line:
            continue
        front, dash, back = line.partition(" - ")
        before, after = front.split(" "), back.split(" ")
        if not dash or len(before) < 6 or len(after) < 3:
            problems.append(malformed(path, index, line, "a mount with its type and source"))
            continue
        try:
            identity, parent = int(before[0]), int(before[1])
        except ValueError:
            problems.append(malformed(path, index, line, "a mount with numbers"))
            continue
        root, point = unescape(before[3]), unescape(before[4])
        if not point.startswith("/") or "\0" in point:
            problems.append(malformed(path, index, line, "a mount with an absolute path"))
            continue
        mounts.append(
            Mount(identity, parent, before[2], root, point, before[5], after[0], unescape(after[1]), after[2])
        )
    return mounts, problems


def unescape(field: str) -> str:
    """Decodes the octal escapes (`\\040` for a space) of /proc's mount tables."""
    if "\\" not in field:
        return field
    first, *parts = field.split("\\")
    out = [first]
    for part in parts:
        digits = part[:3]
        if len(digits) == 3 and all("0" <= digit <= "7" for digit in digits) and int(digits, 8) < 128:
            out.append(chr(int(digits, 8)) + part[3:])
        else:
            out.append("\\" + part)
    return "".join(out)


def visible(mounts: Iterable[Mount]) -> list[Mount]:
    """Leaves out mounts that no path leads to: another was mounted over them, or over a folder above them."""
    mounts = [mount for mount in mounts if not mount.point.endswith("//deleted")]
    children: dict[int, list[Mount]] = {}
    for mount in mounts:
        children.setdefault(mount.parent, []).append(mount)
    points = {mount.identity: mount.point for mount in mounts}
    hidden: set[int] = set()
    covered: set[int] = set()
    for parent, siblings in children.items():
        places = {sibling.point for sibling in siblings}
        over = parent in points and points[parent] in places
        if over:
            covered.add(parent)
        for sibling in siblings:
            beneath_another = any(above in places for above in _above(sibling.point))
            if beneath_another or (over and sibling.point != points[parent]):
                hidden.add(sibling.identity)
    waiting = list(hidden)
    while waiting:
        for child in children.get(waiting.pop(), []):
            if child.identity not in hidden:
                hidden.add(child.identity)
                waiting.append(child.identity)
    return [mount for mount in mounts if mount.identity not in hidden and mount.identity not in covered]


def _above(point: str) -> list[str]:
    """The folders above a path, nearest first; / is among them for every other path."""
    found = []
    while point not in ("/", ""):
        point = point.rpartition("/")[0] or "/"
        found.append(point)
    return found


def wanted(mount: Mount, include: Iterable[str], exclude: Iterable[str], skipped_types: Iterable[str]) -> bool:
    """Says whether a mount is shown. Globs match mount point or type; `exclude` wins, then `include`, then defaults."""
    names = (mount.point, mount.type)
    if any(fnmatchcase(name, pattern) for name in names for pattern in exclude):
        return False
    if mount.type in PSEUDO_TYPES:
        return False
    if any(fnmatchcase(name, pattern) for name in names for pattern in include):
        return True
    if mount.point == "/":
        return True
    if mount.type == "overlay" or mount.type in skipped_types:
        return False
    if mount.point == "/dev":  # of device nodes, in containers on a tmpfs
        return False
    return not any(fnmatchcase(mount.point, pattern) for pattern in SKIPPED_POINTS)


def fold(mounts: Iterable[Mount]) -> list[Mount]:
    """Keeps one mount per filesystem: bind mounts, btrfs subvolumes and other repetitions of a device are one.

    The one kept shows the filesystem's root, has the shortest path, and was there first, in this order; for btrfs,
    whose subvolumes are all roots, only the latter two count. ZFS datasets are devices of their own and stay apart.
    """
    best: dict[str, tuple[tuple[bool, int, int], Mount]] = {}
    for order, mount in enumerate(mounts):
        rank = (mount.root != "/" and mount.type != "btrfs", len(mount.point), order)
        kept = best.get(mount.device)
        if kept is None or rank < kept[0]:
            best[mount.device] = (rank, mount)
    return [mount for rank, mount in sorted(best.values(), key=lambda each: each[0][2])]


def must_be_probed(mount: Mount, mounts: Iterable[Mount]) -> bool:
    """Says whether asking a mount could hang: by its own type, or because the path to it leads over such a mount."""
    if mount.type not in LOCAL_TYPES:
        return True
    above = set(_above(mount.point))
    return any(other.point in above and other.type not in LOCAL_TYPES | PSEUDO_TYPES for other in mounts)
