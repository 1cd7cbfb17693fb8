"""From a trace of the gateway's system calls: what was acknowledged was synced before, and so was the directory entry
of the segment that holds it. A file system may keep an entry that was never synced, so no power cut shows that."""
import collections
import json
import os
import re
import shutil
import subprocess
import urllib.request

import pytest

from conftest import Gateway, wait_until

CALLS = "mkdir,mkdirat,renameat,renameat2,fsync,fdatasync,pwrite64,sendto,sendmsg,write,writev"
ID = "124df56aef51"
RECORDS, RECORD_BYTES = 12, 30000
SEGMENTS = 8    # of 1 MiB

Call = collections.namedtuple("Call", "begun ended name text")


@pytest.fixture
def strace(tmp_path):
    """The words before a traced command, and where the trace goes."""
    words = ["strace", "-f", "-y", "-qq", "-s", "24", "-e", f"trace={CALLS}"]
    if not shutil.which("strace") or subprocess.run([*words, "true"], capture_output=True, check=False).returncode:
        pytest.skip("may not trace a process here")
    return [*words, "-o", str(tmp_path / "trace")], tmp_path / "trace"


def read_trace(path):
    """Calls that succeeded, as they began; begun and ended are line numbers."""
    open_calls, found = {}, []
    for number, line in enumerate(path.read_text(errors="replace").splitlines()):
        thread, text = line.split(maxsplit=1)
        if text.endswith("<unfinished ...>"):
            open_calls[thread] = number, text
        elif resumed := re.match(r"<\.\.\. \w+ resumed>(.*)", text):
            begun, start = open_calls.pop(thread)
            found.append((begun, number, start.removesuffix("<unfinished ...>") + resumed[1]))
        else:
            found.append((number, number, text))
    return [Call(begun, ended, text.partition("(")[0], text) for begun, ended, text in sorted(found)
            if re.search(r"= \d+$", text)]


def segments_named(calls):
    """name of a segment -> the call that gave a file this name."""
    named = [(re.search(r'"(\d+\.segment)"\) *= 0', call.text), call) for call in calls if call.name == "renameat"]
    return {match[1]: call for match, call in named if match}


def is_recycled(calls):
    """A segment has become the next one's file, and that has got its name."""
    return any(re.search(r'"\d+\.segment", .*"spare"\)', call.text) and
               any(other.begun > call.ended for other in segments_named(calls).values()) for call in calls)


def batches_written(calls):
    """The spare that becomes a segment is filled under another name."""
    return [call for call in calls if re.match(r"pwrite64\(\d+<[^>]*/\d+\.segment>", call.text)]


def check_entries(calls, log):
    """Between the name of a segment and the first batch in it, its directory was synced."""
    for name, naming in segments_named(calls).items():
        writes = [call for call in batches_written(calls) if f"/{name}>" in call.text]
        if writes:
            assert any(call.name == "fsync" and f"<{log}>" in call.text and naming.ended < call.begun
                       and call.ended < writes[0].begun for call in calls), f"the entry of {name} was not synced"


def check_directories(calls):
    """Before the first answer to a post, each directory that was made is in one that was synced since. Returns them."""
    first = next(call for call in calls if "HTTP/1.1 200" in call.text)
    made = {re.search(r'"(.*)"', call.text)[1]: call for call in calls if call.name == "mkdir"}
    for path, making in made.items():
        assert any(call.name == "fsync" and f"<{os.path.dirname(path)}>" in call.text and making.ended < call.begun
                   and call.ended < first.begun for call in calls), f"the entry of {path} was not synced"
    return set(made)


def check_answers(calls):
    """Before each answer to a post, the batch written last was synced. Returns how many there were."""
    answers = [call for call in calls if "HTTP/1.1 200" in call.text]
    for answer in answers:
        write = next((call for call in reversed(batches_written(calls)) if call.begun < answer.begun), None)
        assert write, "answered before anything was written"
        segment = re.search(r"<(\S+\.segment)>", write.text)[1]
        assert any(call.name == "fdatasync" and f"<{segment}>" in call.text and write.ended < call.begun
                   and call.ended < answer.begun for call in calls), f"answered before the sync: {answer.text}"
    return len(answers)


def post(gateway):
    body = json.dumps({"records": [{"value": {"index": 1, "title": "x" * RECORD_BYTES}}] * RECORDS}).encode()
    request = urllib.request.Request(f"{gateway.url}/topics/{ID}.pin", body, method="POST",
                                     headers={"Content-Type": "application/vnd.kafka.json.v2+json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.status == 200


def test_nothing_is_acknowledged_that_was_not_synced(pinpipe, strace, tmp_path):
    words, path = strace
    log = tmp_path / "data" / "log"
    gateway = Gateway([*words, pinpipe, "gateway", "--listen", "127.0.0.1:0", "--dir", tmp_path / "data"],
                      tmp_path / "out", {"PINPIPE_LOG_SEGMENT_BYTES": "1MiB", "PINPIPE_LOG_RETENTION": "1ms",
                                         "PINPIPE_GATEWAY_RECORD_BYTES_MAX": "64KiB"}, tmp_path)
    try:
        gateway.listen()

        def posted():
            post(gateway)
            calls = read_trace(path)
            return len(segments_named(calls)) >= SEGMENTS and is_recycled(calls)

        wait_until(posted, f"{SEGMENTS} segments, one of them recycled")
    finally:
        gateway.destroy()
    calls = read_trace(path)
    check_entries(calls, log)
    assert check_directories(calls) == {str(log.parent), str(log)}
    assert check_answers(calls) >= SEGMENTS


TRACE = """1 renameat(4</d/log>, "spare", 4</d/log>, "001.segment") = 0
1 fsync(4</d/log>) = 0
1 pwrite64(6</d/log/001.segment>, "PPJB"..., 4096, 4096) = 4096
1 fdatasync(6</d/log/001.segment>) = 0
2 sendto(9<socket:[1]>, "HTTP/1.1 200 OK"..., 100, 0, NULL, 0) = 100
"""


@pytest.mark.parametrize("order, is_good", [((0, 1, 2, 3, 4), True), ((0, 2, 1, 3, 4), False), ((0, 2, 3, 4), False),
                                            ((0, 1, 2, 4, 3), False), ((0, 1, 2, 4), False), ((0, 1, 4, 2, 3), False)])
def test_a_wrong_order_is_seen(tmp_path, order, is_good):
    lines = TRACE.splitlines()
    (tmp_path / "trace").write_text("\n".join(lines[n] for n in order))
    calls = read_trace(tmp_path / "trace")
    if is_good:
        check_entries(calls, "/d/log")
        assert check_answers(calls) == 1
    else:
        with pytest.raises(AssertionError):
            check_entries(calls, "/d/log")
            check_answers(calls)
