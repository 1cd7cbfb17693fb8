"""Spark's own servers on this machine, for the time of a test: a standalone cluster, or a Spark Connect server."""

import json
import os
import pathlib
import subprocess
import urllib.request

import conftest
from spark_home import environment

# The driver is to be found where executors are; elsewhere Spark takes the machine's name.
HERE = {"PINPIPE_SPARK__driver_host": "127.0.0.1", "PINPIPE_SPARK__driver_bindAddress": "127.0.0.1"}
SMALL_JVM = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"


class Server:
    """A process of Spark's, which is there until stop()."""

    def __init__(self, directory, name, words, before=()):
        home = environment()["SPARK_HOME"]
        self.log = pathlib.Path(directory) / f"{name}.log"
        env = conftest.clean_environment({**environment(), "SPARK_LOCAL_IP": "127.0.0.1",
                                          "SPARK_DAEMON_JAVA_OPTS": SMALL_JVM, "SPARK_DAEMON_MEMORY": "512m"})
        command = [*before, f"{home}/bin/{words[0]}", *words[1:]]
        with open(self.log, "ab") as said:
            self.process = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=said,
                                            stderr=said, cwd=directory, env=env,
                                            preexec_fn=conftest.die_with_parent)

    def said(self):
        return self.log.read_text(errors="replace")

    def wait_for(self, text):
        def look():
            assert self.process.poll() is None, self.said()
            return text in self.said()
        conftest.wait_until(look, f"{text!r} of {self.log.stem}", 120)

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def hides(path):
    """The words before a command, to which the directory is then another, empty one; None: not on this machine."""
    words = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c",
             'mount -t tmpfs none "$0" && exec "$@"', path]
    done = subprocess.run([*words, "true"], check=False, capture_output=True)
    return words if done.returncode == 0 else None


class Cluster:
    """A master, and workers as they are started."""

    def __init__(self, directory):
        self.directory = directory
        port, self.web_port = conftest.free_port(), conftest.free_port()
        self.url = f"spark://127.0.0.1:{port}"
        self.workers = []
        self.master = Server(directory, "master", [
            "spark-class", "org.apache.spark.deploy.master.Master", "--host", "127.0.0.1", "--port", port,
            "--webui-port", self.web_port])
        self.master.wait_for("I have been elected leader")

    def start_worker(self, before=(), cores=2):
        name = f"worker-{len(self.workers)}"
        worker = Server(self.directory, name, [
            "spark-class", "org.apache.spark.deploy.worker.Worker", "--host", "127.0.0.1", "--webui-port", "0",
            "--cores", cores, "--memory", "1g", "--work-dir", self.directory / name, self.url], before)
        self.workers.append(worker)
        worker.wait_for("Successfully registered with master")
        return worker

    def environment(self, **settings):
        """Of a pinpipe that works on it."""
        return {"PINPIPE_SPARK__MASTER": self.url, "PINPIPE_SPARK__EXECUTOR_MEMORY": "600m", **HERE,
                "PINPIPE_SPARK__executor_extraJavaOptions": SMALL_JVM, **settings}

    def state(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.web_port}/json/", timeout=30) as answer:
            return json.load(answer)

    def stop(self):
        for server in [*self.workers, self.master]:
            server.stop()


def left_of(directory):
    """Processes whose work is in the directory: executors, which outlive their worker by a moment."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/cwd"):
        try:
            if str(directory) in os.readlink(path):
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


class Connect:
    """A Spark Connect server, with two threads of its own."""

    def __init__(self, directory):
        self.port = conftest.free_port()
        self.url = f"sc://127.0.0.1:{self.port}"
        self.server = Server(directory, "connect", [
            "spark-submit", "--master", "local[2]", "--driver-memory", "1g", "--driver-java-options", SMALL_JVM,
            *(word for name, value in {
                "spark.ui.enabled": "false", "spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1",
                "spark.connect.grpc.binding.address": "127.0.0.1", "spark.connect.grpc.binding.port": self.port,
                "spark.sql.warehouse.dir": directory, "spark.local.dir": directory,
            }.items() for word in ("--conf", f"{name}={value}")),
            "--class", "org.apache.spark.sql.connect.service.SparkConnectServer", "spark-internal"])
        self.server.wait_for("Spark Connect server started")

    def jobs(self):
        """How many it has begun."""
        return self.server.said().count("DAGScheduler: Got job")

    def stop(self):
        self.server.stop()
