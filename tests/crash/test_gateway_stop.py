"""A gateway that is asked to stop first ends what its worker is doing, also for a client that has left."""

import signal
import socket
import struct

import pytest

RESET_AT_CLOSE = struct.pack("ii", 1, 0)


def test_the_worker_ends_before_the_log(run, start_gateway, data_dir, pinpipe):
    if b"PINPIPE_FAILPOINTS\0" not in pinpipe.read_bytes():
        pytest.skip("needs a program built with -Dfailpoints=true")
    # The catalog is written once when it is made, and for each of the pipeline's six topics and streams.
    gateway = start_gateway(env={"PINPIPE_FAILPOINTS": "catalog-write:delay1500@8"})
    with socket.create_connection((gateway.host, gateway.port)) as client:
        client.sendall(b"POST /streams/late HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
        client.settimeout(0.3)
        with pytest.raises(TimeoutError):
            client.recv(1)          # the worker is at it
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_CLOSE)
    assert gateway.stop(signal.SIGTERM) == 128 + signal.SIGTERM
    assert '"late"' in run("streams", "--dir", str(data_dir)).stdout
