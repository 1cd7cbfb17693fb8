"""A real Airflow of a test's own: its home, its runs by `airflow dags test`, and what its database says of them.

tools/interop/install-airflow brings it. Everything is in one directory, SQLite included; no service is started.
"""

import json
import os
import sqlite3
import subprocess

import conftest

CACHE = conftest.TOP / ".cache" / "interop-airflow"
PYTHON = CACHE / "venv" / "bin" / "python"
PATIENCE_S = 300


def variables(**settings):
    """What makes them Variables of the DAG `pinpipe`."""
    return {f"AIRFLOW_VAR_PINPIPE_{name.upper()}": str(value) for name, value in settings.items() if value is not None}


class Airflow:
    """With the DAGs of the project. `home` is made, or is a copy of one that was."""

    def __init__(self, home):
        self.home = home
        self.env = conftest.clean_environment({
            "AIRFLOW_HOME": str(home), "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
            "AIRFLOW__CORE__DAGS_FOLDER": str(conftest.TOP / "dags"), "PYTHONDONTWRITEBYTECODE": "1",
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False", "AIRFLOW__CORE__DEFAULT_TASK_RETRY_DELAY": "1",
            "PATH": f"{CACHE / 'venv' / 'bin'}:{os.environ['PATH']}"})
        if not home.exists():
            home.mkdir(parents=True)
            self.call("db", "migrate")

    def call(self, *words, status=0, env=None):
        """A command of Airflow that ends by itself; both of its streams."""
        done = subprocess.run([PYTHON, "-m", "airflow", *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=PATIENCE_S, check=False, cwd=self.home,
                              env={**self.env, **(env or {})})
        assert done.returncode == status, f"{words}: {done.returncode}:\n{done.stdout}"
        return done.stdout

    def test(self, dag, conf, status=0, env=None, binary=None, check=None):
        """`airflow dags test` of one run; what it said."""
        env = {**variables(binary=binary, check=check), **(env or {})}
        return self.call("dags", "test", dag, "-c", json.dumps(conf, default=str), status=status, env=env)

    def start(self, dag, conf, output, **settings):
        """The same as a process that goes on beside the test."""
        with open(output, "wb") as stream:
            return subprocess.Popen(
                [PYTHON, "-m", "airflow", "dags", "test", dag, "-c", json.dumps(conf, default=str)], cwd=self.home,
                stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT,
                env={**self.env, **variables(**settings)},
                start_new_session=True, preexec_fn=conftest.die_with_parent)

    def query(self, sql):
        connection = sqlite3.connect(f"file:{self.home / 'airflow.db'}?mode=ro", uri=True, timeout=60)
        try:
            return connection.execute(sql).fetchall()
        finally:
            connection.close()

    def tasks(self):
        """{task: (state, tries)} of the last run."""
        return {task: (state, tries) for task, state, tries in self.query(
            "SELECT task_id, state, try_number FROM task_instance WHERE run_id = "
            "(SELECT run_id FROM dag_run ORDER BY id DESC LIMIT 1)")}

    def result(self, task):
        """What it left for the next one, in the last run."""
        rows = self.query("SELECT value FROM xcom WHERE key = 'return_value' AND "
                          f"task_id = '{task}' ORDER BY dag_run_id DESC LIMIT 1")
        return json.loads(rows[0][0]) if rows else None

    def events(self):
        """{asset: what its last event tells}"""
        return {name: json.loads(extra) for name, extra in self.query(
            "SELECT asset.name, asset_event.extra FROM asset_event JOIN asset ON asset.id = asset_event.asset_id "
            "ORDER BY asset_event.id")}
