"""A lake on mounts of its own, as a container's volumes are: out of the file system that all else is on."""

import json
import shutil
import subprocess

import pytest

from conftest import clean_environment

ID = "124df56aef51"


def can_mount():
    """Whether this user may mount in a namespace of its own, where it troubles nobody."""
    return shutil.which("unshare") and subprocess.run(["unshare", "-m", "true"], check=False,
                                                      capture_output=True).returncode == 0


@pytest.mark.skipif(not can_mount(), reason="needs to be allowed to mount (unshare -m)")
@pytest.mark.parametrize("mounts", [("lake",), ("lake/tables", "lake/topics"), ("lake", "lake/tables"), ("tmp",)],
                         ids=" ".join)
def test_a_run_with_a_lake_on_volumes(pinpipe, data_dir, tmp_path, mounts):
    script = "set -e\n"
    for number, place in enumerate(mounts):
        (tmp_path / f"volume{number}").mkdir()
        script += f"mkdir -p {data_dir / place}\nmount --bind {tmp_path}/volume{number} {data_dir / place}\n"
    script += f"{pinpipe} run --posts 60 --dir {data_dir}\n{pinpipe} check --dir {data_dir}\n" \
              f"{pinpipe} sql --dir {data_dir} --format json 'SELECT count(*) AS n FROM pin_all'"
    done = subprocess.run(["unshare", "-m", "sh", "-c", script], capture_output=True, text=True, timeout=300,
                          check=False, stdin=subprocess.DEVNULL, cwd=tmp_path, env=clean_environment())
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout[done.stdout.rindex("["):]) == [{"n": 60}]
