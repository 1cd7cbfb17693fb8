"""The batch path of pinpipe: check the source, clean what is new, answer the analyses, publish the answers.

Each task runs one command of pinpipe on the worker. What its exit status makes of the task:

* 0: done
* 2, a mistake of use or of configuration: fails at once, as it does where the program is not there
* 73, another run has the lock: gives its slot back and asks again later; that is no try
* any other: a try, repeated with growing pauses (75 says that it will pass; 1, 74 and signals may)

A task that is killed or takes too long hands SIGTERM to the command, which commits nothing half.
Every setting is a Param of the run; an empty one is the Variable pinpipe_NAME, then the default. But what runs, only
Variables say: who may start a run need not be allowed to run programs on a worker.
"""

import json
import os
import shlex
import subprocess
import tempfile
from datetime import datetime, timedelta

from airflow.sdk import DAG, Asset, BaseSensorOperator, Param, PokeReturnValue
from airflow.sdk.exceptions import AirflowException, AirflowFailException

TABLES = ("pin", "geo", "user")  # an asset each; add your own models/clean/*.sql
USAGE, LOCKED = 2, 73
DIR = "/var/lib/pinpipe"
VARIABLES_ALONE = ("binary", "check")
END_S = 60  # what a command has to end in when it is asked to

# name: (default, what it is)
SETTINGS = {
    "binary": ("pinpipe", "The program: a path on the worker, or a name that its PATH has"),
    "dir": ("", f"Directory of pinpipe's data (--dir), an absolute path; empty: as configured, else {DIR}"),
    "config": ("", "Configuration file (--config), an absolute path; its directory is where the command runs"),
    "lake": ("", "The lake (--lake): file:DIR or s3://BUCKET/PREFIX; empty: as configured, else that of dir"),
    "models": ("", "Directory of the SQL models (--models); empty: those beside the program"),
    "publish": ("", "Where the answers are copied to: file:DIR or s3://BUCKET/PREFIX; empty: nowhere"),
    "check": ("dlq", "Command that looks whether the source is there: cheap, and ends with 0 if it is"),
}


def template(name):
    """The value of a setting when the task runs: nothing asks the database while the file is parsed."""
    variable = f"var.value.get('pinpipe_{name}', '{SETTINGS[name][0]}')"
    return f"{{{{ {variable} }}}}" if name in VARIABLES_ALONE else f"{{{{ params.{name} or {variable} }}}}"


class LockedError(Exception):
    """Another run has the lock."""


class PinpipeOperator(BaseSensorOperator):
    """Runs `words` of pinpipe; what it prints as JSON is the task's XCom.

    A sensor for 73: to wait without a slot is what those are for. An operator, not a function, because Airflow
    tells only operators when a task is killed.
    """

    template_fields = ("words", "settings")

    def __init__(self, *, words, **kwargs):
        super().__init__(mode="reschedule", **kwargs)
        self.words = words
        self.settings = {name: template(name) for name in SETTINGS}
        self.process = None
        self.was_killed = False

    def poke(self, context):
        try:
            return PokeReturnValue(True, self.result(context, self.run(self.command())))
        except LockedError:
            return PokeReturnValue(False)

    def command(self):
        return shlex.split(self.words)

    def result(self, context, printed):
        return json.loads(printed) if printed else None

    def run(self, words):
        """What the command printed; what it said goes to the task's log, the last of that into the error."""
        command = [self.settings["binary"], *words, "--format", "json"]
        if self.settings["config"]:
            command += ["--config", self.settings["config"]]
        self.log.info("running %s", shlex.join(command))
        with tempfile.TemporaryFile("w+") as output:
            status, said = self.run_into(output, command)
            output.seek(0)
            printed = output.read()
        if status == 0:
            return printed
        said = said or f"{shlex.join(command)}: failed"
        if self.was_killed:
            raise AirflowException(f"the task was killed: pinpipe was asked to end, and did ({status})")
        if status == LOCKED:
            raise LockedError(said)
        if status == USAGE:
            raise AirflowFailException(f"{said} (status 2: a retry would not help)")
        raise AirflowException(f"{said} ({f'status {status}' if status > 0 else f'signal {-status}'})")

    def run_into(self, output, command):
        """(status, the last thing that it said)"""
        said = ""
        try:
            # A session of its own: Airflow asks the whole group to end, and a second signal would cut the end short.
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.PIPE, text=True, errors="replace",
                env=self.environment(), cwd=self.working_directory(), start_new_session=True)
        except OSError as error:
            raise AirflowFailException(
                f"\"{command[0]}\" cannot be run on this worker: {error.strerror}. Install pinpipe there, or name "
                "it in the Variable pinpipe_binary") from None
        try:
            if self.was_killed:
                self.process.terminate()
            for line in self.process.stderr:
                said = line.rstrip() if line.startswith("pinpipe") else said
                self.log.info("%s", line.rstrip())
            return self.process.wait(), said
        finally:
            self.end()

    def environment(self):
        chosen = {name: self.settings[name] for name in ("dir", "lake", "models")}
        if not chosen["dir"] and not self.settings["config"]:
            chosen["dir"] = DIR
        return {**os.environ, "NO_COLOR": "1",
                **{f"PINPIPE_{name.upper()}": value for name, value in chosen.items() if value}}

    def working_directory(self):
        """Paths in a configuration file are from its directory on; a task's own is anybody's."""
        directory = os.path.dirname(self.settings["config"])
        return directory if os.path.isdir(directory) else None

    def end(self):
        """Whatever ended the wait, the execution_timeout say: no command is left running."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(END_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process.stderr.close()

    def on_kill(self):
        self.was_killed = True
        if self.process:
            self.process.terminate()  # run_into() waits for its end


class BatchOperator(PinpipeOperator):
    """The report is the XCom; the event of a table's asset tells the table's part of it."""

    def result(self, context, printed):
        report = json.loads(printed)
        for table in TABLES:
            if table in report["tables"]:
                context["outlet_events"][Asset(f"pinpipe_{table}")].extra = report["tables"][table]
        return report


class AnalyseOperator(PinpipeOperator):
    """How many rows each answer has: the answers themselves may be more than an XCom should be."""

    def result(self, context, printed):
        return {name: len(answer["rows"]) for name, answer in json.loads(printed).items()}


class PublishOperator(PinpipeOperator):
    """Copies results/ of the lake. A second run brings what is new; nothing is done where no place is named."""

    def poke(self, context):
        if not self.settings["publish"]:
            self.log.info("nothing is published: the Param \"publish\" and the Variable pinpipe_publish are empty")
            return PokeReturnValue(True)
        return super().poke(context)

    def command(self):
        return ["cp", self.source(), self.settings["publish"], "--replace"]

    def source(self):
        """Where the lake is, the program knows best: the configuration may say."""
        values = {row["key"]: row["value"] for row in json.loads(self.run(["config"]))}
        lake = values["lake"] or f"file:{os.path.join(values['dir'], 'lake')}"
        return f"{lake.rstrip('/')}/results"

    def result(self, context, printed):
        return self.settings["publish"]


with DAG(
    dag_id="pinpipe",
    description="Clean what is new in pinpipe's lake, answer the analyses, publish the answers",
    doc_md=__doc__,
    schedule="@daily",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    tags=["pinpipe"],
    params={name: Param("", type="string", description=text, title=name) for name, (_, text) in SETTINGS.items()
            if name not in VARIABLES_ALONE},
    default_args={
        "retries": 3,
        "retry_exponential_backoff": 2,
        "max_retry_delay": timedelta(hours=1),
        "execution_timeout": timedelta(hours=2),  # of one command
        "poke_interval": timedelta(seconds=20),  # while another run has the lock
        "timeout": timedelta(hours=6),  # for how long that is waited for
    },
) as dag:
    check_source = PinpipeOperator(task_id="check_source", words=template("check"))
    batch = BatchOperator(task_id="batch", words="batch --by airflow",
                          outlets=[Asset(f"pinpipe_{table}") for table in TABLES])
    analyses = AnalyseOperator(task_id="analyses", words="analyse --from batch", outlets=[Asset("pinpipe_answers")])
    publish = PublishOperator(task_id="publish", words="cp", outlets=[Asset("pinpipe_published")])
    check_source >> batch >> analyses >> publish
