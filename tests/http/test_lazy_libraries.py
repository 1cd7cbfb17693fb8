"""A gateway never asks for DuckDB nor for libcurl: it does not load what takes 14 MB and 30 ms."""

import json
import pathlib
import urllib.request


def test_a_gateway_loads_neither_duckdb_nor_libcurl(gateway):
    request = urllib.request.Request(f"{gateway.url}/topics/124df56aef51.pin", method="POST",
                                     data=json.dumps({"records": [{"value": {"index": 1}}]}).encode(),
                                     headers={"Content-Type": "application/vnd.kafka.json.v2+json"})
    with urllib.request.urlopen(request) as reply:
        assert reply.status == 200
    with urllib.request.urlopen(f"{gateway.url}/metrics") as reply:
        assert reply.status == 200
    maps = pathlib.Path(f"/proc/{gateway.pid}/maps").read_text()
    assert "pinpipe" in maps and "libduckdb" not in maps and "libcurl" not in maps
