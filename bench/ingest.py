"""The gateway against a bare epoll loop, in the same run, by the same load generator."""
import pathlib
import subprocess
import tempfile

from measure import HERE, Process, await_port, free_port, rounds, wrk

ID = "124df56aef51"
TOPIC = f"/topics/{ID}.pin"
STREAM = f"/streams/streaming-{ID}-pin/record"
SPREAD = [f"/topics/{ID}.{t}" for t in ("pin", "geo", "user")] + \
         [f"/streams/streaming-{ID}-{t}/record" for t in ("pin", "geo", "user")]


class Server:
    def __init__(self, arguments, port, **options):
        self.process, self.port = Process(arguments, **options), port
        await_port(port)
        self.figures = {}

    def load(self, kind, rows, records, connections, seconds, paths):
        """Records/s; CPU per record goes to `cpu_us`."""
        before = self.process.cpu_seconds()
        rate, quantiles, failed = wrk(self.port, "/", "post.lua", connections, seconds,
                                      [kind, str(rows), str(records), *paths])
        if failed:
            raise RuntimeError(f"{failed} requests failed")
        self.cpu_us = (self.process.cpu_seconds() - before) / (rate * records * seconds) * 1e6
        self.quantiles = quantiles
        return rate * records


def gateway(binary, directory, **options):
    port = free_port()
    return Server([binary, "gateway", "--listen", f"127.0.0.1:{port}", "--dir", directory], port, **options)


def bare(build, directory, threads):
    port = free_port()
    return Server([build / "bench" / "bare_server", port, pathlib.Path(directory) / f"bare{threads}", threads], port)


NGINX = """daemon off; worker_processes 1; pid {dir}/nginx.pid; error_log {dir}/error.log;
events {{ worker_connections 2048; }}
http {{ access_log off; client_body_temp_path {dir}/b; proxy_temp_path {dir}/p; fastcgi_temp_path {dir}/f;
  uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s; keepalive_requests 1000000000;
  server {{ listen 127.0.0.1:{port}; location / {{ return 200 '{{"offsets":[]}}'; }} }} }}
"""


def nginx(directory):
    port = free_port()
    config = pathlib.Path(directory) / "nginx.conf"
    config.write_text(NGINX.format(dir=directory, port=port))
    return Server(["/usr/sbin/nginx", "-c", config], port)


def measure(table, binary, build, rows, count, seconds):
    with tempfile.TemporaryDirectory(prefix="pinpipe-bench-", dir=build) as directory:
        ours = gateway(binary, f"{directory}/data")
        limits = [bare(build, directory, 1), bare(build, directory, 2)]
        constant = nginx(directory)
        try:
            idle = ours.process.status_kib("VmRSS") / 1024
            for work, kind, records, connections, paths, bar in (
                    ("POST 1 record, 32 connections", "topic", 1, 32, [TOPIC], 0.8),
                    ("POST 1 record, 256 connections", "topic", 1, 256, [TOPIC], 0.8),
                    ("POST 100 records, 8 connections", "topic", 100, 8, [TOPIC], 0.7),
                    ("PUT record, 32 connections", "stream", 1, 32, [STREAM], 0.7)):
                def load(server):
                    return lambda: server.load(kind, rows, records, connections, seconds, paths)
                figures = rounds(count, {"ours": load(ours), "bare1": load(limits[0]), "bare2": load(limits[1]),
                                         "nginx": load(constant)})
                table.add(work, figures["ours"], max(figures["bare1"], figures["bare2"]), bar, "rec/s",
                          cpu_us=ours.cpu_us, rss_mib=ours.process.status_kib("VmHWM") / 1024,
                          note=f"nginx, a constant: {figures['nginx']:,.0f}; p99 {ours.quantiles.get('99', 0):.1f} ms")
            figures = rounds(count, {
                "one": lambda: ours.load("topic", rows, 1, 32, seconds, [TOPIC]),
                "six": lambda: ours.load("topic", rows, 1, 32, seconds, SPREAD)})
            table.add("the same, 3 topics and 3 streams", figures["six"], figures["one"], 0.9, "rec/s")
            table.add("gateway memory, idle", idle, 16, 1.0, "MiB", higher=False)
            table.add("gateway memory, under these loads", ours.process.status_kib("VmHWM") / 1024, 128, 1.0, "MiB",
                      higher=False)
        finally:
            for server in (ours, *limits, constant):
                server.process.stop()
