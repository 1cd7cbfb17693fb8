"""The same sources for arm64: Debian's cross compiler builds them in a bare Debian, qemu runs the unit tests."""

import os
import shutil
import subprocess

import pytest

import conftest

TOP = conftest.TOP
LIMIT_S = 7200  # some 400 files are compiled, on a machine that may be busy

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or os.uname().machine != "x86_64",
                                reason="needs root, to make a bare Debian, on amd64, to be another machine")

# What has to do with bytes, their order, formats, threads and the engine. Not those that take long under qemu, nor
# those that start programs, which qemu cannot without the kernel's help.
TESTS = """
test_admission test_ahead test_aws_client test_aws_gate test_aws_msk test_base64 test_batch test_broker_kinds
test_catalog test_check test_commit test_commits test_compact test_compact_plan test_config test_delta
test_delta_at test_delta_checkpoint test_delta_columns test_delta_conflict test_delta_fence test_delta_progress
test_delta_refuse test_delta_rewrite test_delta_stats test_dlq test_dlq_key test_duck test_engine test_err
test_http_parse test_iterator test_journal test_json test_library test_log_extras test_log_tails test_manifest
test_metadata test_models test_mysql_text test_partitioner test_position test_post_order test_post_protocol
test_produce test_put_records test_sigv4 test_sql_at test_visible test_watermark test_weakness test_xml
""".split()

BUILD = f"""
cd /src
ARCH=arm64 tools/bootstrap build
meson setup build-arm64 --cross-file tools/arm64.ini -Dwerror=false -Doptimization=1 -Ddebug=false >/dev/null
ninja -C build-arm64 --quiet pinpipe reference {" ".join(f"tests/{test}" for test in TESTS)}
"""

# By its whole path: what the program is told of its own place is what qemu was.
RUN_TESTS = f"""
for test in {" ".join(TESTS)}; do
    export CMOCKA_MESSAGE_OUTPUT=TAP
    timeout -k 5 600 qemu-aarch64-static /src/build-arm64/tests/$test >/tmp/out 2>&1 </dev/null \\
        && echo "$test passed" || {{ echo "$test FAILED"; grep -v '^ok' /tmp/out | tail -n 20; }}
done
"""


@pytest.fixture(name="bare", scope="module")
def fixture_bare(tmp_path_factory):
    root = tmp_path_factory.mktemp("bare") / "root"

    def run_it(script):
        done = subprocess.run([TOP / "tools" / "interop" / "bare-root", root, "sh", "-ec", script], text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=LIMIT_S, check=False)
        if done.returncode == 75:
            pytest.skip(done.stdout.splitlines()[-1])
        assert done.returncode == 0, done.stdout[-8000:]
        return done.stdout
    run_it("true")
    files = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=TOP,
                           capture_output=True, check=True).stdout
    (root / "src").mkdir()
    packed = subprocess.Popen(["tar", "--create", "--null", "--files-from=-"], cwd=TOP, stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE)
    unpacked = subprocess.Popen(["tar", "--extract", "--directory", root / "src"], stdin=packed.stdout)
    packed.stdin.write(files)
    packed.stdin.close()
    assert unpacked.wait() == 0 and packed.wait() == 0
    yield run_it
    shutil.rmtree(root)


def test_it_builds_and_its_unit_tests_pass(bare):
    bare(BUILD)
    said = bare(RUN_TESTS)
    assert said.count(" passed\n") == len(TESTS), said


def test_the_program_answers(bare):
    """Its library is arm64's, too, and found beside it."""
    said = bare("""cd /src; sample='{"user":"ann","page":"/"}'; mkdir -p /tmp/m/clean /tmp/m/analyses
        echo "$sample" | qemu-aarch64-static build-arm64/pinpipe models new clicks --models /tmp/m
        qemu-aarch64-static build-arm64/pinpipe models --check --models /tmp/m
        qemu-aarch64-static build-arm64/pinpipe doctor --listen 127.0.0.1:0 --format table""")
    assert "1 tables and 0 analyses are sound" in said
    assert "on aarch64" in said and "DuckDB's library is there, and runs" in said
