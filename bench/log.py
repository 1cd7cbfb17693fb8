"""The record log: reading it against a bare read with CRC-32C of the same files, and how soon it takes records."""
import http.client
import os
import pathlib
import shutil
import subprocess
import tempfile
import time

from measure import Process, free_port, rounds, run

TOPIC = "124df56aef51.pin"
MIB = 1024  # of values in the log that is read
TAIL_MIB = 1400  # with segments of 1 GiB: those before it hold 340 MiB, so over 1 GiB is in the one that nothing ends
PARTS_KIB = (128, 1024)  # of a read of the limit: whichever is faster counts


def fill(build, directory, rows, mib, segment_mib, records, partitions=1, hours=0):
    """A log as a kill -9 leaves it; with `hours`, of records whose times lie in so many, in no order."""
    directory.mkdir()
    subprocess.run([build / "bench" / "fill_log", directory, rows, str(mib), str(segment_mib), str(records),
                    str(partitions), str(hours)], check=False, stderr=subprocess.DEVNULL)


def segments(directory):
    return sorted((directory / "log").glob("*.segment"))


def rate(arguments, size):
    """MiB/s of a program that reads `size` bytes; what it prints is thrown away."""
    elapsed, cpu, rss, _ = run(arguments, stdout=subprocess.DEVNULL)
    return size / elapsed / 2**20, cpu, rss


def reading(table, binary, build, rows, directory, count):
    for what, records in (("100 records a batch", 100), ("1 record a batch", 1)):
        log = directory / f"log{records}"
        fill(build, log, rows, MIB, 64, records)
        files = segments(log)[:-1]  # the last one was made ahead and is empty
        ready_ms(binary, log)  # trims the tail to what it holds
        size = sum(file.stat().st_size for file in files)
        last = {}

        def cat():
            figure, last["cpu"], last["rss"] = rate([binary, "cat", TOPIC, "--dir", log], size)
            return figure

        figures = rounds(count, {"ours": cat, **{
            str(kib): lambda kib=kib: rate([build / "bench" / "bare_read", kib, *files], size)[0]
            for kib in PARTS_KIB}})
        table.add(f"cat of a 1 GiB log, {what}", figures["ours"], max(figures[str(kib)] for kib in PARTS_KIB), 0.5,
                  "MiB/s", rss_mib=last["rss"], note=f"{last['cpu']:.2f} s CPU")
        shutil.rmtree(log)


def forget(files):
    """Out of the page cache, as after a power cut."""
    for file in files:
        with open(file, "rb") as stream:
            os.fsync(stream.fileno())
            os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def ready_ms(binary, directory, *arguments):
    """From the start of the process to the first 200 of /readyz."""
    port = free_port()
    began = time.monotonic()
    gateway = Process([binary, "gateway", "--listen", f"127.0.0.1:{port}", "--dir", directory, *arguments])
    try:
        while True:
            connection = http.client.HTTPConnection("127.0.0.1", port)
            try:
                connection.request("GET", "/readyz")
                if connection.getresponse().status == 200:
                    return (time.monotonic() - began) * 1000
            except OSError:
                time.sleep(0.001)
            finally:
                connection.close()
            if gateway.process.poll() is not None or time.monotonic() - began > 60:
                raise RuntimeError("the gateway did not become ready")
    finally:
        gateway.stop()


def again(log, copy):
    """The log as the kill left it, once more: segments by name, for recovery does not write into what it keeps."""
    shutil.rmtree(copy, ignore_errors=True)
    (copy / "log").mkdir(parents=True)
    for file in (log / "log").iterdir():
        if file.suffix == ".segment":
            os.link(file, copy / "log" / file.name)
        elif file.is_file() and not file.name.startswith("spare"):
            shutil.copy(file, copy / "log")
    return copy


def starting(table, binary, build, rows, directory, count):
    def fresh():
        shutil.rmtree(directory / "fresh", ignore_errors=True)
        return ready_ms(binary, directory / "fresh")

    table.add("start to ready, a new log", rounds(3 * count, {"ours": fresh})["ours"], 30, 1.0, "ms", higher=False)
    for what, mib, segment_mib, bar in (("1 GiB of log", MIB, 64, 200),
                                        ("1 GiB of unsealed log", TAIL_MIB, 1024, 2000)):
        log, copy = directory / "log", directory / "copy"
        fill(build, log, rows, mib, segment_mib, 100)
        segments(log)[-1].unlink()  # made ahead and empty; recovery would write into it
        figures = rounds(count, {"ours": lambda: ready_ms(binary, again(log, copy))})
        forget(segments(log))
        cold = ready_ms(binary, again(log, copy))
        table.add(f"start to ready, {what}", figures["ours"], bar, 1.0, "ms", higher=False,
                  note=f"after kill -9; not in the page cache, as after a power cut: {cold:,.0f} ms")
        shutil.rmtree(log)
        shutil.rmtree(copy)


def measure(table, binary, build, rows, count, _seconds):
    with tempfile.TemporaryDirectory(prefix="pinpipe-bench-", dir=build) as directory:
        reading(table, binary, build, rows, pathlib.Path(directory), count)
        starting(table, binary, build, rows, pathlib.Path(directory), count)
