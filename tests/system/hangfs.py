"""`hangfs.py FOLDER`: mounts a FUSE file system that answers everything but statfs, without any library.

It prints `ready`, then a line for each question that it leaves open. SIGUSR1 makes it answer from then on; SIGTERM ends
it, and whoever waits gets ENOTCONN. To be run in a mount namespace of its own: whatever asks the mount hangs.
"""

import ctypes
import os
import signal
import struct
import sys

INIT, GETATTR, STATFS = 26, 3, 17
ATTRIBUTES = struct.pack("<QIIQQQQQQ10I", 1, 0, 0, 1, *[0] * 5, 0, 0, 0, 0o40755, 2, 0, 0, 0, 4096, 0)
"""The root folder, as GETATTR tells it."""


def main(folder: str) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    device = os.open("/dev/fuse", os.O_RDWR)
    options = f"fd={device},rootmode=40755,user_id=0,group_id=0,allow_other".encode()
    if libc.mount(b"hang", folder.encode(), b"fuse.hangfs", 0, options):
        sys.exit(os.strerror(ctypes.get_errno()))
    waiting: list[int] = []
    healthy = False

    def answer(unique: int, body: bytes = b"") -> None:
        os.write(device, struct.pack("<IiQ", 16 + len(body), 0, unique) + body)

    def sizes(unique: int) -> None:
        answer(unique, struct.pack("<QQQQQIIII24x", 1000, 400, 300, 50, 20, 4096, 255, 4096, 0))

    def end(*_: object) -> None:
        libc.umount2(folder.encode(), 2)
        os._exit(0)

    def heal(*_: object) -> None:
        nonlocal healthy
        healthy = True
        while waiting:
            sizes(waiting.pop())

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGUSR1, heal)
    print("ready", flush=True)
    while True:
        try:
            request = os.read(device, 1 << 18)
        except FileNotFoundError:
            continue  # The one who asked was killed meanwhile.
        _, operation, unique = struct.unpack_from("<IIQ", request)
        if operation == INIT:
            answer(unique, struct.pack("<IIIIHHIIHHI28x", 7, 31, 65536, 0, 12, 10, 65536, 1, 0, 0, 0))
        elif operation == GETATTR:
            answer(unique, ATTRIBUTES)
        elif operation == STATFS and healthy:
            sizes(unique)
        elif operation == STATFS:
            waiting.append(unique)
            print("asked", flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
