"""What every measurement needs: processes with their CPU time and peak memory, rounds, medians, a table."""
import json
import os
import pathlib
import re
import signal
import socket
import statistics
import subprocess
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent
TICK = os.sysconf("SC_CLK_TCK")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def await_port(port, timeout=20):
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.005)
    raise RuntimeError(f"nothing listens on port {port}")


class Process:
    """A server or worker under measurement."""

    def __init__(self, arguments, **options):
        options.setdefault("stdout", subprocess.DEVNULL)
        options.setdefault("stderr", subprocess.DEVNULL)
        self.process = subprocess.Popen([str(a) for a in arguments], stdin=subprocess.DEVNULL, **options)
        self.pid = self.process.pid

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def status_kib(self, field):
        text = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(rf"^{field}:\s+(\d+)", text, re.M)[1])

    def stop(self, how=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(how)
        return self.process.wait(120)


def run(arguments, **options):
    """Run to the end; (seconds, CPU seconds, peak RSS in MiB, stdout). The peak is told by time(1): what the kernel
    tells of a child of ours counts the Python that it was before its exec."""
    with tempfile.NamedTemporaryFile("w+") as peak, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        begin = time.monotonic()
        options.setdefault("stdout", out)
        child = subprocess.Popen(["/usr/bin/time", "-f", "%M", "-o", peak.name, *map(str, arguments)],
                                 stdin=subprocess.DEVNULL, stderr=err, **options)
        _, status, used = os.wait4(child.pid, 0)
        elapsed = time.monotonic() - begin
        child.returncode = os.waitstatus_to_exitcode(status)
        for stream in (out, err):
            stream.seek(0)
        if child.returncode != 0:
            raise RuntimeError(f"{arguments}: status {child.returncode}: {err.read().decode()[-400:]}")
        return elapsed, used.ru_utime + used.ru_stime, int(peak.read().split()[-1]) / 1024, out.read()


def wrk(port, path, script, connections, seconds, arguments=()):
    """(requests/s, {latency quantile: ms}, failed) of one run."""
    text = subprocess.run(["wrk", "-t1", f"-c{connections}", f"-d{seconds}", "--latency", "-s", str(HERE / script),
                           f"http://127.0.0.1:{port}{path}", "--", *arguments],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True).stdout
    unit = {"us": 1e-3, "ms": 1.0, "s": 1e3}
    quantiles = {q: float(v) * unit[u] for q, v, u in re.findall(r"^\s+(50|90|99)%\s+([\d.]+)(us|ms|s)", text, re.M)}
    failed = sum(map(int, re.findall(r"(?:Non-2xx or 3xx responses:|connect|read|write|timeout) (\d+)", text)))
    return float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1]), quantiles, failed


class Table:
    """Rows as they are measured: printed at once, written as JSON at the end."""

    def __init__(self):
        self.rows = []
        print(f"{'work':44} {'ours':>14} {'limit':>14} {'ratio':>7} {'bar':>8}  {'':6} {'CPU us/rec':>10} "
              f"{'RSS MiB':>8}", flush=True)

    def add(self, work, ours, limit=None, bar=None, unit="", higher=True, cpu_us=None, rss_mib=None, note=""):
        """`bar`: the least ratio ours/limit (or the most, when lower is better)."""
        ratio = ours / limit if limit else None
        met = None if bar is None or ratio is None else (ratio >= bar if higher else ratio <= bar)
        self.rows.append(dict(work=work, ours=ours, limit=limit, ratio=ratio, bar=bar, met=met, unit=unit,
                              higher_is_better=higher, cpu_us_per_record=cpu_us, peak_rss_mib=rss_mib, note=note))

        def show(value, digits=0):
            return "" if value is None else f"{value:,.{digits}f}"

        small = 3 if abs(ours) < 10 else 0
        print(f"{work:44} {show(ours, small) + ' ' + unit:>14} {show(limit, small):>14} {show(ratio, 2):>7} "
              f"{('>= ' if higher else '<= ') + show(bar, 2) if bar is not None else '':>8}  "
              f"{'' if met is None else 'ok' if met else 'MISSED':6} {show(cpu_us, 1):>10} {show(rss_mib):>8}"
              f"{'  ' + note if note else ''}", flush=True)

    def write(self, path):
        path.write_text(json.dumps({"cores": os.cpu_count(), "rows": self.rows}, indent=1) + "\n")

    @property
    def missed(self):
        return [row["work"] for row in self.rows if row["met"] is False]


def rounds(count, measures):
    """Run the measures in turn, `count` times; each gives a figure. The median of each."""
    figures = {name: [] for name in measures}
    for _ in range(count):
        for name, measure in measures.items():
            figures[name].append(measure())
    return {name: statistics.median(values) for name, values in figures.items()}
