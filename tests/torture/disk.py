"""A disk whose power can be cut: an ext4 or XFS in an image, mounted through a loop device.

cut() is FS_IOC_SHUTDOWN without flushing the journal: from then on nothing reaches the image, and what had not been
synced is gone after the next mount. By itself that would be all of it; a real disk may have written any part, in any
order. So the pages of the log's files are looked at as they stood in memory at the cut, and after the mount a random
choice of the 512-byte sectors that did not make it is written to the disk after all. This is done only to files whose
blocks were on the disk before (same inode and generation), as that is what a disk could have done.

A directory entry of a file that was synced is on the disk even if the directory was not synced, so this cannot show
that a sync of a directory is missing after a create; tests/crash/test_sync_order.py does.
"""
import contextlib
import ctypes
import fcntl
import mmap
import os
import pathlib
import random
import struct
import subprocess

SHUTDOWN = 0x8004587D           # FS_IOC_SHUTDOWN
NO_LOG_FLUSH = 2
GET_VERSION = 0x80087601        # FS_IOC_GETVERSION: the inode's generation
MAP_POPULATE = 0x8000
SECTOR = 512
MAP_FAILED = ctypes.c_void_p(-1).value
LIBC = ctypes.CDLL(None)
LIBC.mmap.restype = ctypes.c_void_p
LIBC.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
LIBC.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
IMAGE_BYTES = 1 << 30           # sparse
MAKE = {"ext4": ("mkfs.ext4", "-q", "-F", "-J", "size=8", "-N", "20000", "-E", "lazy_itable_init=1,nodiscard"),
        "xfs": ("mkfs.xfs", "-q", "-K")}
# Of ext4 a mount draws how often it commits by itself, and whether it syncs what is renamed over another file.
OPTIONS = {"ext4": [f"commit={s},{renames}" for s in (1, 5, 1000) for renames in ("auto_da_alloc", "noauto_da_alloc")],
           "xfs": ["rw"]}


def command(*words):
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"{' '.join(map(str, words))}: {done.stderr.strip()}")


class Held:
    """A file as it stands in memory, whatever becomes of it on the disk: after the cut no call reads it any more, but
    pages that are mapped stay. They are read as this process' memory, so that one beyond a new end is no SIGBUS."""

    def __init__(self, path):
        with open(path, "rb") as file:
            self.key, self.size = identity(file.fileno()), os.fstat(file.fileno()).st_size
            self.address = LIBC.mmap(None, self.size, mmap.PROT_READ, mmap.MAP_SHARED | MAP_POPULATE, file.fileno(), 0)
        if self.address == MAP_FAILED:
            raise ValueError(f"{path} is empty")

    def take(self):
        """Its bytes."""
        with open("/proc/self/mem", "rb", buffering=0) as memory:
            data = os.pread(memory.fileno(), self.size, self.address)
        LIBC.munmap(self.address, self.size)
        return data


def identity(fd):
    generation = bytearray(8)
    fcntl.ioctl(fd, GET_VERSION, generation)
    return os.fstat(fd).st_ino, bytes(generation)


class Disk:
    """Made and mounted by entering it; `kind` is one of MAKE."""

    def __init__(self, place, rng, kind):
        self.image, self.path, self.rng = pathlib.Path(place) / "image", pathlib.Path(place) / "disk", rng
        self.kind = kind
        self.is_mounted = False
        self.lost = self.survived = 0   # sectors of the log that were not synced

    def __enter__(self):
        with open(self.image, "wb") as image:
            image.truncate(IMAGE_BYTES)
        command(*MAKE[self.kind], self.image)
        self.path.mkdir()
        self.mount()
        return self

    def __exit__(self, kind, *_):
        if self.is_mounted:
            command("umount", *(["--lazy"] if kind else []), self.path)     # what failed may have left it in use

    def mount(self):
        command("mount", "-o", f"loop,noatime,{self.rng.choice(OPTIONS[self.kind])}", self.image, self.path)
        self.is_mounted = True

    def cut(self, logs, kill_all):
        """The power goes and comes back. `logs`: the directory with the files that are looked at."""
        held = []
        for path in self.log_files(logs):
            with contextlib.suppress(FileNotFoundError, ValueError):     # it has just gone, or is empty
                held.append(Held(path))
        root = os.open(self.path, os.O_RDONLY)
        fcntl.ioctl(root, SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
        os.close(root)
        in_memory = {file.key: file.take() for file in held}
        kill_all()
        command("umount", self.path)
        self.is_mounted = False
        self.mount()
        for path in self.log_files(logs):
            self.let_survive(path, in_memory)

    @staticmethod
    def log_files(logs):
        return [path for pattern in ("*.segment", "spare*", "watermark") for path in sorted(logs.glob(pattern))]

    def let_survive(self, path, in_memory):
        fd = os.open(path, os.O_RDWR)
        try:
            there = os.pread(fd, os.fstat(fd).st_size, 0)
            memory = in_memory.get(identity(fd), b"")
            end = min(len(there), len(memory))
            if there[:end] == memory[:end]:
                return
            sectors = [at for at in range(0, end, SECTOR) if there[at:at + SECTOR] != memory[at:at + SECTOR]]
            chosen = self.choose(sectors)
            for at in chosen:
                os.pwrite(fd, memory[at:min(at + SECTOR, end)], at)
            os.fsync(fd)
        finally:
            os.close(fd)
        self.lost += len(sectors) - len(chosen)
        self.survived += len(chosen)

    def choose(self, sectors):
        """None, all, the first, the last, or any of them."""
        how, share = self.rng.randrange(6), self.rng.random()
        count = round(share * len(sectors))
        if how < 4:
            return [[], sectors, sectors[:count], sectors[count:]][how]
        return [sector for sector in sectors if self.rng.random() < share]


def reason_against(place):
    """Why no power can be cut here, or None."""
    try:
        with Disk(place, random.Random(0), "ext4"):
            return None
    except OSError as error:
        return f"needs to mount a loop device: {error}"
