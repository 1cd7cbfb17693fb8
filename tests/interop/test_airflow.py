"""The DAGs in a real Airflow, the notebook on a real Spark, and the Databricks one against a mock of its routes.

Whoever runs an Airflow sees states, tries, messages, XComs and asset events: those are what is looked at.
"""

import contextlib
import http.server
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import threading

import pytest

import conftest
from airflow_home import PYTHON, Airflow, variables
from conftest import wait_until
from test_interop import CACHE, HERE, PATIENCE_S, pinpipe

POSTS = 200
TASKS = ["check_source", "batch", "analyses", "publish"]
NOTEBOOK = conftest.TOP / "notebooks" / "pinpipe_analyses.py"


@pytest.fixture(scope="module", name="lake")
def fixture_lake(tmp_path_factory):
    """A data directory; tests that write to it take a copy."""
    directory = tmp_path_factory.mktemp("lake") / "data"
    pinpipe("run", "--dir", directory, "--posts", POSTS, "--rate", "max")
    return directory


@pytest.fixture(scope="module", name="migrated")
def fixture_migrated(tmp_path_factory):
    return Airflow(tmp_path_factory.mktemp("airflow") / "home")


@pytest.fixture(name="airflow")
def fixture_airflow(migrated, tmp_path):
    """An Airflow in which nothing has run."""
    return Airflow(shutil.copytree(migrated.home, tmp_path / "home"))


@pytest.fixture(name="data")
def fixture_data(lake, tmp_path):
    return shutil.copytree(lake, tmp_path / "data")


def wrapper(tmp_path, body):
    """A program in pinpipe's place: `body` is sh, "$pinpipe" the real one; `first` is true once."""
    path = tmp_path / "wrapper"
    path.write_text(f"#!/bin/sh\npinpipe='{conftest.binary()}'\n"
                    f"first() {{ mkdir '{tmp_path}/called' 2>/dev/null; }}\n{body}\nexec \"$pinpipe\" \"$@\"\n")
    path.chmod(0o755)
    return path


def states(airflow):
    return {task: state for task, (state, _) in airflow.tasks().items()}


# --- parsing ---------------------------------------------------------------


def parse(airflow, file, before=""):
    """[dag id] of a file, read by itself; an import error is a failure."""
    code = (f"{before}\nimport importlib.util\n"
            f"spec = importlib.util.spec_from_file_location('dags', {str(conftest.TOP / 'dags' / file)!r})\n"
            "module = importlib.util.module_from_spec(spec)\nspec.loader.exec_module(module)\n"
            "print(module.dag.dag_id, sorted(module.dag.params), module.dag.max_active_runs)")
    done = subprocess.run([PYTHON, "-c", code], capture_output=True, text=True, timeout=PATIENCE_S, check=False,
                          env=airflow.env, cwd=airflow.home)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


def test_both_files_parse(airflow):
    assert "No data found" in airflow.call("dags", "list-import-errors")
    listed = airflow.call("dags", "list", "--local", "--output", "plain")
    assert "pinpipe_databricks" in listed and "pinpipe_dag.py" in listed


def test_the_first_parses_without_the_databricks_provider(airflow):
    hidden = "import sys\nsys.modules['airflow.providers.databricks.operators'] = None"
    assert parse(airflow, "pinpipe_dag.py", hidden).startswith("pinpipe ")
    with pytest.raises(AssertionError, match="airflow.providers.databricks"):
        parse(airflow, "pinpipe_databricks_dag.py", hidden)


def test_nothing_is_asked_of_the_database_at_parse(airflow):
    (airflow.home / "airflow.db").unlink()
    for file in ("pinpipe_dag.py", "pinpipe_databricks_dag.py"):
        assert parse(airflow, file).endswith(" 1")
    assert not (airflow.home / "airflow.db").exists()


# --- the batch path --------------------------------------------------------


def test_a_run_publishes_the_answers(airflow, data, tmp_path):
    published = tmp_path / "published"
    airflow.test("pinpipe", {"dir": data, "publish": f"file:{published}"}, binary=conftest.binary())
    assert states(airflow) == dict.fromkeys(TASKS, "success")
    report = airflow.result("batch")
    assert {name: table["total_rows"] for name, table in report["tables"].items()} == \
        dict.fromkeys(("geo", "pin", "user"), POSTS)
    assert pinpipe("runs", "--dir", data)[0]["by"] == "airflow"
    answers = pinpipe("analyse", "--dir", data)
    assert airflow.result("analyses") == {name: len(answer["rows"]) for name, answer in answers.items()}
    for name, answer in answers.items():
        assert json.loads((published / f"{name}.json").read_text())["rows"] == answer["rows"]
    events = airflow.events()
    assert set(events) == {"pinpipe_pin", "pinpipe_geo", "pinpipe_user", "pinpipe_answers", "pinpipe_published"}
    assert events["pinpipe_pin"]["total_rows"] == POSTS


def test_settings_come_from_variables_and_a_configuration(airflow, data, tmp_path):
    """No Param is set; data and lake are where the configuration says, from its directory on."""
    shutil.move(data / "lake", tmp_path / "lake")
    (tmp_path / "own.yaml").write_text("dir: data\nlake: file:lake\n")
    settings = {"binary": conftest.binary(), "config": tmp_path / "own.yaml", "publish": "file:published"}
    airflow.test("pinpipe", {}, env=variables(**settings))
    assert states(airflow) == dict.fromkeys(TASKS, "success")
    assert len(list((tmp_path / "published").glob("*.json"))) == len(airflow.result("analyses"))


def test_what_will_pass_is_tried_again(airflow, data, tmp_path):
    binary = wrapper(tmp_path, "if [ $1 = batch ] && first; then echo 'pinpipe batch: no answer' >&2; exit 75; fi")
    said = airflow.test("pinpipe", {"dir": data}, binary=binary)
    assert "pinpipe batch: no answer (status 75)" in said
    assert airflow.tasks()["batch"] == ("success", 2) and airflow.tasks()["publish"] == ("success", 1)


def test_a_mistake_of_use_fails_at_once(airflow, data):
    said = airflow.test("pinpipe", {"dir": data}, binary=conftest.binary(), check="dlq --nonsense", status=1)
    assert "--nonsense" in said and "a retry would not help" in said
    assert airflow.tasks()["check_source"] == ("failed", 1) and airflow.tasks()["batch"][0] == "upstream_failed"


def test_a_source_that_is_not_there_is_said(airflow, tmp_path):
    said = airflow.test("pinpipe", {"dir": tmp_path / "nowhere"}, status=1, binary=conftest.binary(),
                        env={"AIRFLOW__CORE__DEFAULT_TASK_RETRY_DELAY": "0"})
    assert "there is no pinpipe data in" in said
    assert airflow.tasks()["check_source"] == ("failed", 4)


def test_a_program_that_is_not_there_is_said(airflow, data):
    said = airflow.test("pinpipe", {"dir": data}, binary="/nowhere/pinpipe", status=1)
    assert '"/nowhere/pinpipe" cannot be run on this worker: No such file' in said and "pinpipe_binary" in said
    assert airflow.tasks()["check_source"] == ("failed", 1)


def test_who_starts_a_run_does_not_say_what_runs(airflow, data, tmp_path):
    said = airflow.test("pinpipe", {"dir": data, "binary": "/bin/sh", "check": f"-c 'touch {tmp_path}/ran'"},
                        binary="/nowhere/pinpipe", status=1)
    assert '"/nowhere/pinpipe" cannot be run on this worker' in said
    assert not (tmp_path / "ran").exists()


@contextlib.contextmanager
def lock_held(data, tmp_path):
    """A real batch that has the lock and does not go on; gives what lets it."""
    def stopped():
        """One that was stopped before its end: it may have been too quick."""
        with open(tmp_path / "other", "wb") as output:
            batch = subprocess.Popen([conftest.binary(), "batch", "--dir", data], stdout=output, stderr=output,
                                     env=conftest.clean_environment(), preexec_fn=conftest.die_with_parent)
        lock = rf"\b{batch.pid} \w+:\w+:{(data / 'batch.lock').stat().st_ino} "
        while batch.poll() is None:
            if re.search(lock, pathlib.Path("/proc/locks").read_text()):
                batch.send_signal(signal.SIGSTOP)
                return batch
        return None
    batch = wait_until(stopped, "a batch that was stopped")
    try:
        yield lambda: batch.send_signal(signal.SIGCONT)
    finally:
        batch.kill()
        batch.wait()


def test_a_run_waits_for_the_lock(airflow, data, tmp_path):
    with lock_held(data, tmp_path) as release:
        run = airflow.start("pinpipe", {"dir": data}, tmp_path / "said", binary=conftest.binary())
        try:
            wait_until(lambda: airflow.query("SELECT 1 FROM task_instance WHERE state = 'up_for_reschedule'")
                       or run.poll() is not None, "a wait", PATIENCE_S)
            release()
            assert run.wait(PATIENCE_S) == 0, (tmp_path / "said").read_text()
        finally:
            run.kill()
            run.wait()
    assert airflow.tasks()["batch"] == ("success", 1)
    assert airflow.query("SELECT count(*) FROM task_reschedule")[0][0] >= 1


def catches(pid, sig):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"SigCgt:\s+(\w+)", status)[1], 16) >> (sig - 1) & 1


def test_a_task_that_is_killed_ends_the_command(airflow, data, tmp_path):
    """The first check is a stream, which would read until it is stopped. Airflow asks the whole group of a task."""
    pids = tmp_path / "pid"
    binary = wrapper(tmp_path, f"if [ $1 = dlq ] && first; then echo $$ >{pids}; "
                               f"exec \"$pinpipe\" stream --dir '{data}'; fi")
    run = airflow.start("pinpipe", {"dir": data}, tmp_path / "said", binary=binary)
    try:
        wait_until(lambda: pids.exists() and pids.read_text().endswith("\n"), "the command", PATIENCE_S)
        child = int(pids.read_text())
        wait_until(lambda: catches(child, signal.SIGTERM), "the command's handler")
        os.killpg(run.pid, signal.SIGTERM)
        assert run.wait(PATIENCE_S) == 0, (tmp_path / "said").read_text()
    finally:
        run.kill()
        run.wait()
    assert not os.path.exists(f"/proc/{child}")
    assert "the task was killed: pinpipe was asked to end, and did (143)" in (tmp_path / "said").read_text()
    assert airflow.tasks()["check_source"] == ("success", 2)


# --- Databricks ------------------------------------------------------------


class Databricks(http.server.BaseHTTPRequestHandler):
    """The three routes that a submitted run needs, as the Jobs API 2.2 answers them."""

    def answer(self, body):
        text = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_POST(self):  # noqa: N802
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((self.path, body))
        self.answer({"run_id": 11})

    def do_GET(self):  # noqa: N802
        self.server.asked.append((self.path, None))
        if "get-output" in self.path:
            return self.answer({"error": self.server.error, "metadata": {}})
        result = "FAILED" if self.server.error else "SUCCESS"
        running = sum("runs/get?" in path or path.endswith("runs/get") for path, _ in self.server.asked) <= 1
        state = {"life_cycle_state": "RUNNING", "state_message": ""} if running else \
            {"life_cycle_state": "TERMINATED", "result_state": result, "state_message": ""}
        return self.answer({"run_id": 11, "job_id": 7, "run_page_url": "http://127.0.0.1/#run/11", "state": state,
                            "tasks": [{"run_id": 12, "task_key": "analyses", "state": state}]})

    def log_message(self, *_):
        pass


@pytest.fixture(name="databricks")
def fixture_databricks(airflow):
    """A workspace on loopback, whose connection is the Airflow's."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Databricks)
    server.asked, server.error = [], ""
    threading.Thread(target=server.serve_forever, daemon=True).start()
    airflow.env["AIRFLOW_CONN_WORKSPACE"] = json.dumps(
        {"conn_type": "databricks", "schema": "http", "host": "127.0.0.1", "port": server.server_port,
         "login": "token", "password": "secret"})
    yield server
    server.shutdown()
    server.server_close()


SUBMITTED = {"connection": "workspace", "cluster": "0101-c", "notebook": "/Shared/n", "lake": "s3://b/p"}


def test_a_notebook_is_submitted(airflow, databricks):
    airflow.test("pinpipe_databricks", SUBMITTED)
    assert states(airflow) == {"analyses": "success"}
    path, body = databricks.asked[0]
    assert path == "/api/2.2/jobs/runs/submit" and body["existing_cluster_id"] == "0101-c"
    assert body["notebook_task"] == {"notebook_path": "/Shared/n", "base_parameters": {
        "lake": "s3://b/p", "models": "../models", "id": "124df56aef51"}}
    assert "pinpipe_databricks_answers" in airflow.events()


def test_a_lake_that_is_not_named_is_asked_for(airflow, databricks):
    said = airflow.test("pinpipe_databricks", {**SUBMITTED, "lake": ""}, status=1,
                        env={"AIRFLOW__CORE__DEFAULT_TASK_RETRY_DELAY": "0"})
    assert "pinpipe_databricks_lake" in said
    assert not databricks.asked and states(airflow) == {"analyses": "failed"}


def test_a_notebook_that_fails_is_quoted(airflow, databricks):
    databricks.error = "could not be answered: pin: no such table"
    said = airflow.test("pinpipe_databricks", SUBMITTED, status=1,
                        env={"AIRFLOW__CORE__DEFAULT_TASK_RETRY_DELAY": "0"})
    assert databricks.error in said
    assert states(airflow) == {"analyses": "failed"}


# --- the notebook ----------------------------------------------------------


def notebook(lake, models, scratch):
    return subprocess.run(
        [CACHE / "venv" / "bin" / "python", HERE / "run_notebook.py", CACHE / "jars", scratch, NOTEBOOK], check=False,
        capture_output=True, text=True, timeout=PATIENCE_S, cwd=scratch,
        env=conftest.clean_environment({"PINPIPE_LAKE": str(lake), "PINPIPE_MODELS": str(models),
                                        "SPARK_LOCAL_IP": "127.0.0.1", "PYTHONDONTWRITEBYTECODE": "1"}))


def test_the_notebook_answers_as_pinpipe_does(data, tmp_path):
    """More posts, so that keys repeat and some rows are outdated."""
    pinpipe("run", "--dir", data, "--posts", 300, "--rate", "max", "--rows", 150, "--seed", 7)
    done = notebook(data / "lake", conftest.TOP / "models", tmp_path)
    assert done.returncode == 0, done.stderr
    current = pinpipe("sql", "--dir", data, "SELECT count(*) AS n FROM pin")[0]["n"]
    assert current < pinpipe("sql", "--dir", data, "SELECT count(*) AS n FROM pin_all")[0]["n"]
    assert json.loads(done.stdout.splitlines()[-1]) == pinpipe("analyse", "--dir", data)


def test_the_notebook_names_what_it_cannot_answer(data, tmp_path):
    models = shutil.copytree(conftest.TOP / "models", tmp_path / "models")
    (models / "analyses" / "wrong.sql").write_text("-- title: Wrong\nSELECT nothing FROM pin\n")
    done = notebook(data / "lake", models, tmp_path)
    assert done.returncode != 0 and "could not be answered: wrong: " in done.stderr
