"""From traces of sink and batch on a new lake: what is in it for good when they go on.

An object is synced before it is moved to its key and its directory after; and a directory that was made is in one that
was synced before anything is put into it: else a power cut takes it with all that was acknowledged into it.
"""
import json
import re
import subprocess
import urllib.request

import pytest

from test_sync_order import ID, read_trace, strace  # noqa: F401 (a fixture)

MOVE = re.compile(r'renameat2?\((?:\d+|AT_FDCWD)<(.*?)>, "(.*?)"\.*, \d+<(.*?)>, "(.*?)"')


def synced(calls, path, after, before):
    """Whether a sync of the path was begun and ended between two calls."""
    return any(call.name == "fsync" and f"<{path}>" in call.text and (not after or after.ended < call.begun)
               and (not before or call.ended < before.begun) for call in calls)


def directories_made(calls, lake):
    """path -> the call that made it, the lake itself included."""
    made = {}
    for call in calls:
        if match := re.match(r'mkdirat\(\d+<(.*?)>, "(.*?)"', call.text):
            made.setdefault(f"{match[1]}/{match[2]}", call)
        elif match := re.match(r'mkdir\("(.*?)"', call.text):
            made.setdefault(match[1], call)
    return {path: call for path, call in made.items() if path.startswith(str(lake)) and "/.tmp" not in path}


def moves(calls, lake):
    """(the call, the file's path before, the directory it came to)"""
    found = []
    for call in calls:
        match = MOVE.match(call.text)
        if match and match[3].startswith(str(lake)):
            source = match[2] if match[2].startswith("/") else f"{match[1]}/{match[2]}"
            found.append((call, source, match[3]))
    return found


def check(calls, lake):
    """Returns how many directories and how many objects it was about."""
    made, moved = directories_made(calls, lake), moves(calls, lake)
    for path, making in made.items():
        parent = path.rpartition("/")[0]
        into = [call for call, _, directory in moved if f"{directory}/".startswith(f"{path}/")]
        assert into, f"nothing was put into {path}"
        assert synced(calls, parent, making, into[0]), f"the entry of {path} was not synced"
    for call, source, directory in moved:
        assert any(other.name == "fsync" and f"<{source}" in other.text and other.ended < call.begun
                   for other in calls), f"moved before it was synced: {call.text}"
        assert synced(calls, directory, call, None), f"its directory was not synced: {call.text}"
    for commit in (call for call, _, directory in moved if directory.endswith("/_delta_log")):
        table = re.search(r"<([^>]*)/_delta_log>", commit.text)[1]
        data = [call for call, _, directory in moved if directory == table and call.ended < commit.begun]
        assert not data or synced(calls, table, data[-1], commit), f"committed before its file was there: {commit.text}"
    return len(made), len(moved)


def test_what_is_put_into_a_new_lake_is_there_for_good(gateway, pinpipe, strace, data_dir):  # noqa: F811
    words, path = strace
    body = json.dumps({"records": [{"value": {"index": n, "title": "a"}} for n in range(5)]}).encode()
    request = urllib.request.Request(f"{gateway.url}/topics/{ID}.pin", body, method="POST",
                                     headers={"Content-Type": "application/vnd.kafka.json.v2+json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.status == 200
    lake, counts = data_dir / "lake", []
    for command in (["sink", "--until-end"], ["batch"]):
        done = subprocess.run([*words, str(pinpipe), *command, "--dir", str(data_dir)], capture_output=True, text=True,
                              check=False, stdin=subprocess.DEVNULL, timeout=120)
        assert done.returncode == 0, done.stderr
        counts.append(check(read_trace(path), lake))
    directories, objects = zip(*counts)
    assert directories[0] >= 4 and objects[0] >= 1     # lake, topics, the topic's, the partition's
    assert directories[1] >= 5 and objects[1] >= 5     # tables, the table's, its log, results, runs


LAKE = """1 mkdirat(3</d/lake>, "topics", 0777) = 0
1 fsync(3</d/lake>) = 0
1 fsync(5</d/lake/.tmp/1-0/0>) = 0
1 renameat2(4</d/lake/.tmp/1-0>, "0", 6</d/lake/topics>, "x", RENAME_NOREPLACE) = 0
1 fsync(6</d/lake/topics>) = 0
"""


@pytest.mark.parametrize("order, is_good", [((0, 1, 2, 3, 4), True), ((0, 2, 1, 3, 4), True), ((0, 2, 3, 4), False),
                                            ((1, 0, 2, 3, 4), False), ((0, 2, 3, 1, 4), False),
                                            ((0, 1, 3, 2, 4), False), ((0, 1, 2, 3), False),
                                            ((0, 1, 2, 4, 3), False)])
def test_a_wrong_order_is_seen(tmp_path, order, is_good):
    lines = LAKE.splitlines()
    (tmp_path / "trace").write_text("\n".join(lines[n] for n in order))
    if is_good:
        assert check(read_trace(tmp_path / "trace"), "/d/lake") == (1, 1)
    else:
        with pytest.raises(AssertionError):
            check(read_trace(tmp_path / "trace"), "/d/lake")
