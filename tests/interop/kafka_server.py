"""A real Apache Kafka on free ports of this machine, and those who read and write it beside pinpipe.

    with kafka_server.running(directory) as kafka:       # directory: an empty one, short and without blanks
        kafka.create("124df56aef51.pin", partitions=2)
        kafka.produce("124df56aef51.pin", [b"{}"])
        pinpipe … --broker kafka, with kafka.client("SCRAM") as the properties of librdkafka

It listens in several ways at once, LISTENERS; what a client of each needs, client() says. There is an authorizer: who
comes without a name (PLAINTEXT, TLS), USER and the owner of the client's certificate may do all, STRANGER nothing.
tools/interop/install-kafka brings Kafka, kcat and confluent-kafka.
"""
import base64
import contextlib
import functools
import json
import os
import re
import signal
import site
import subprocess
import uuid

import conftest

CACHE = conftest.TOP / ".cache" / "interop-kafka"
LISTENERS = {"PLAINTEXT": "PLAINTEXT", "SASL_PLAIN": "SASL_PLAINTEXT", "SCRAM": "SASL_PLAINTEXT", "TLS": "SSL",
             "MTLS": "SSL", "MSK": "PLAINTEXT"}  # before the last stands msk_server.py
USER, STRANGER, PASSWORD = "pinpipe", "stranger", "a-secret"
SCRAM = "SCRAM-SHA-512"
TOOL_S = 120


@functools.cache
def confluent():
    """The module confluent_kafka, out of install-kafka's own Python."""
    site.addsitedir(str(next((CACHE / "venv" / "lib").glob("python3*/site-packages"))))
    import confluent_kafka  # pylint: disable=import-outside-toplevel
    import confluent_kafka.admin  # pylint: disable=import-outside-toplevel
    return confluent_kafka


def java(*words, heap="512m", lasts=False):
    """The command that starts a program of Kafka's: soon fast, or fast once it has run for some time (`lasts`)."""
    quick = [] if lasts else ["-XX:TieredStopAtLevel=1"]
    return ["java", f"-Xmx{heap}", "-XX:+UseSerialGC", *quick, "-cp", f"{CACHE}/jars/*", *map(str, words)]


def ask(command, stdin=b"", timeout_s=TOOL_S):
    done = subprocess.run(list(map(str, command)), input=stdin, capture_output=True, timeout=timeout_s, check=False)
    assert done.returncode == 0, f"{command}: {done.returncode}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done.stdout


@functools.cache
def given_ports():
    return set()


def free_port():
    """None that another listener was given: what nobody has bound yet the system gives twice."""
    port = conftest.free_port()
    while port in given_ports():
        port = conftest.free_port()
    given_ports().add(port)
    return port


class Certificates:
    """A CA with a server's and a client's certificate, and a CA that signed neither."""

    def __init__(self, directory):
        self.directory = directory
        self.make("ca")
        self.make("other-ca")
        self.make("server", "subjectAltName=IP:127.0.0.1,DNS:localhost")
        self.make("client", "extendedKeyUsage=clientAuth")

    def make(self, name, extension=None):
        signer = ["-CA", self.cert("ca"), "-CAkey", self.key("ca"), "-addext", extension] if extension else []
        ask(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
             "-days", "3", "-subj", f"/CN={USER if name == 'client' else name}", "-keyout", self.key(name),
             "-out", self.cert(name), *signer])
        self.both(name).write_bytes(self.key(name).read_bytes() + self.cert(name).read_bytes())

    def cert(self, name):
        return self.directory / f"{name}.pem"

    def key(self, name):
        return self.directory / f"{name}.key"

    def both(self, name):
        return self.directory / f"{name}-both.pem"


class Node:
    """One process of the cluster: the first is its controller, too."""

    def __init__(self, kafka, number):
        self.kafka, self.number = kafka, number
        self.directory = kafka.directory / f"node{number}"
        self.directory.mkdir()
        self.ports = {name: free_port() for name in LISTENERS}
        self.properties = self.directory / "server.properties"
        self.process, self.starts = None, 0

    def format(self, cluster):
        users = [word for user in (USER, STRANGER)
                 for word in ("--add-scram", f"{SCRAM}=[name={user},password={PASSWORD}]")]
        self.properties.write_text("".join(f"{name}={value}\n" for name, value in self.settings().items()))
        ask(java("kafka.tools.StorageTool", "format", "-t", cluster, "-c", self.properties,
                 *(users if self.number == 1 else [])))

    def settings(self):
        roles = "broker,controller" if self.number == 1 else "broker"
        listeners = {name: f"{name}://127.0.0.1:{port}" for name, port in self.ports.items()}
        copies = len(self.kafka.nodes)
        control = f"CONTROLLER://127.0.0.1:{self.kafka.controller_port}"
        own = [control] if self.number == 1 else []
        return {
            "process.roles": roles, "node.id": self.number, "log.dirs": self.directory / "log",
            "controller.quorum.voters": f"1@127.0.0.1:{self.kafka.controller_port}",
            "controller.listener.names": "CONTROLLER", "inter.broker.listener.name": "PLAINTEXT",
            "listeners": ",".join([*listeners.values(), *own]),
            "advertised.listeners": ",".join({**listeners, **self.kafka.advertised}.values()),
            "listener.security.protocol.map": ",".join(
                f"{name}:{protocol}" for name, protocol in {**LISTENERS, "CONTROLLER": "PLAINTEXT"}.items()),
            "offsets.topic.replication.factor": copies, "offsets.topic.num.partitions": 4,
            "transaction.state.log.replication.factor": copies, "transaction.state.log.min.isr": 1,
            "transaction.state.log.num.partitions": 4,
            "share.coordinator.state.topic.replication.factor": copies,
            "share.coordinator.state.topic.min.isr": 1, "default.replication.factor": copies,
            "group.initial.rebalance.delay.ms": 0, "auto.create.topics.enable": "false",
            **self.security(), **self.kafka.settings,
        }

    def security(self):
        certificates = self.kafka.certificates
        plain = "org.apache.kafka.common.security.plain.PlainLoginModule required"
        users = " ".join(f'user_{user}="{PASSWORD}"' for user in (USER, STRANGER))
        tls = {"keystore.type": "PEM", "keystore.location": certificates.both("server"), "truststore.type": "PEM",
               "truststore.location": certificates.cert("ca")}
        return {
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": f"User:ANONYMOUS;User:{USER};User:CN={USER}",
            "listener.name.sasl_plain.sasl.enabled.mechanisms": "PLAIN",
            "listener.name.sasl_plain.plain.sasl.jaas.config": f"{plain} {users};",
            "listener.name.scram.sasl.enabled.mechanisms": SCRAM,
            f"listener.name.scram.{SCRAM.lower()}.sasl.jaas.config":
                "org.apache.kafka.common.security.scram.ScramLoginModule required;",
            **{f"listener.name.{name}.ssl.{setting}": value for name in ("tls", "mtls")
               for setting, value in tls.items()},
            "listener.name.mtls.ssl.client.auth": "required",
        }

    def said(self):
        return (self.directory / f"said{self.starts}").read_text(errors="replace")

    def start(self):
        """Returns at once; wait() returns when it serves."""
        self.starts += 1
        with open(self.directory / f"said{self.starts}", "wb") as said:
            self.process = subprocess.Popen(
                java("kafka.Kafka", self.properties, lasts=self.kafka.lasts), stdin=subprocess.DEVNULL,
                stdout=said, stderr=said, preexec_fn=conftest.die_with_parent)

    def wait(self):
        def started():
            assert self.process.poll() is None, f"node {self.number} ended: {self.said()[-3000:]}"
            return re.search(r"Kafka Server started", self.said())
        conftest.wait_until(started, f"node {self.number} of Kafka", TOOL_S)

    def is_up(self):
        return self.process is not None and self.process.poll() is None

    def signal(self, number):
        os.kill(self.process.pid, number)

    def pause(self):
        """SIGSTOP: it holds its connections and answers nothing, until resume()."""
        self.signal(signal.SIGSTOP)

    def resume(self):
        self.signal(signal.SIGCONT)

    def kill(self):
        """kill -9, as a crash."""
        if self.is_up():
            self.process.kill()
        self.process.wait()

    def stop(self):
        """In order, as an operator does; a node whose controller is gone would wait for it for ever."""
        if not self.is_up():
            return
        self.resume()
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()


class Kafka:
    """A cluster, mostly of one node. What is done to it as a whole is done to all of them."""

    def __init__(self, directory, nodes=1, settings=None, advertised=None, lasts=False):
        self.directory, self.settings, self.lasts = directory, settings or {}, lasts
        self.advertised = {name: f"{name}://{place}" for name, place in (advertised or {}).items()}
        self.certificates = Certificates(directory)
        self.controller_port = free_port()
        self.nodes = []
        self.nodes.extend(Node(self, number) for number in range(1, nodes + 1))
        # A name that begins with "-" would be taken for an option.
        cluster = "A" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")[1:]
        for node in self.nodes:
            node.format(cluster)

    # Its life

    def start(self):
        for node in self.nodes:
            node.start()
        for node in self.nodes:
            node.wait()

    def stop(self):
        for node in reversed(self.nodes):  # the controller last
            node.stop()

    def restart(self):
        self.stop()
        self.start()

    def kill(self):
        for node in self.nodes:
            node.kill()

    def pause(self):
        for node in self.nodes:
            node.pause()

    def resume(self):
        for node in self.nodes:
            node.resume()

    # How to come to it

    def bootstrap(self, listener="PLAINTEXT"):
        return ",".join(f"127.0.0.1:{node.ports[listener]}" for node in self.nodes)

    def client(self, listener="PLAINTEXT", user=USER, password=PASSWORD, ca="ca"):
        """The properties of librdkafka with which a client comes in there."""
        sasl = {"sasl.username": user, "sasl.password": password}
        tls = {"ssl.ca.location": str(self.certificates.cert(ca))}
        identity = {"ssl.certificate.location": str(self.certificates.cert("client")),
                    "ssl.key.location": str(self.certificates.key("client"))}
        more = {"PLAINTEXT": {}, "MSK": {}, "SASL_PLAIN": {"sasl.mechanism": "PLAIN", **sasl},
                "SCRAM": {"sasl.mechanism": SCRAM, **sasl}, "TLS": tls, "MTLS": {**tls, **identity}}[listener]
        return {"bootstrap.servers": self.bootstrap(listener), "security.protocol": LISTENERS[listener], **more}

    # confluent-kafka: the quick way to prepare and to look

    @functools.cached_property
    def admin(self):
        return confluent().admin.AdminClient({**self.client(), "log_level": 0})


    def create(self, topic, partitions=1, copies=None, places=None, **config):
        """places: the nodes of each partition, the preferred leader first. config: retention_ms=1000 for
        `retention.ms`."""
        where = [len(places)] if places else [partitions, copies or len(self.nodes)]
        new = confluent().admin.NewTopic(topic, *where, **({"replica_assignment": places} if places else {}), config={
            name.replace("_", "."): str(value) for name, value in config.items()})
        admin = self.admin
        admin.create_topics([new])[topic].result(TOOL_S)

    def delete(self, topic):
        """Returns when its name may be given to another topic."""
        admin = self.admin
        admin.delete_topics([topic])[topic].result(TOOL_S)
        conftest.wait_until(lambda: topic not in admin.list_topics(timeout=10).topics, f"the end of {topic}")

    def partitions(self, topic):
        """Each with `leader` and `isrs`, numbers of nodes."""
        return list(self.admin.list_topics(topic, timeout=TOOL_S).topics[topic].partitions.values())

    def elect(self, topic, is_unclean=False):
        """The preferred replicas lead; or anybody leads, whatever it lacks. (confluent-kafka's own call fails.)"""
        partitions = {"partitions": [{"topic": topic, "partition": partition.id}
                                     for partition in self.partitions(topic)]}
        path = self.directory / "partitions.json"
        path.write_text(json.dumps(partitions))
        self.tool("LeaderElectionCommand", "--election-type", "UNCLEAN" if is_unclean else "PREFERRED",
                  "--path-to-json-file", path)

    def producer(self, **config):
        return confluent().Producer({**self.client(), "enable.idempotence": True,
                                     **{name.replace("_", "."): value for name, value in config.items()}})

    def produce(self, topic, values, partition=None, key=None, headers=None):
        """Returns when all of them are there."""
        producer, failed = self.producer(), []
        place = {} if partition is None else {"partition": partition}
        for value in values:
            producer.produce(topic, value, key=key, headers=headers, **place,
                             on_delivery=lambda error, _: failed.append(error) if error else None)
            producer.poll(0)
        assert producer.flush(TOOL_S) == 0 and not failed, failed

    def transact(self, topic, transactions, partition=0, name="interop"):
        """transactions: (values, whether they are committed), one after the other."""
        producer = self.producer(transactional_id=name)
        producer.init_transactions(TOOL_S)
        for values, is_committed in transactions:
            producer.begin_transaction()
            for value in values:
                producer.produce(topic, value, partition=partition)
            producer.flush(TOOL_S)
            (producer.commit_transaction if is_committed else producer.abort_transaction)(TOOL_S)

    def delete_records(self, topic, before, partition=0):
        """As retention does it: what is before that offset goes."""
        place = confluent().TopicPartition(topic, partition, before)
        admin = self.admin
        admin.delete_records([place])[place].result(TOOL_S)

    def consume(self, topic, listener="PLAINTEXT"):
        """All committed messages of the topic, each partition's in order."""
        kafka = confluent()
        consumer = kafka.Consumer({**self.client(listener), "group.id": "interop-look", "enable.partition.eof": True,
                                   "enable.auto.commit": False, "isolation.level": "read_committed"})
        partitions = list(consumer.list_topics(topic, timeout=TOOL_S).topics[topic].partitions)
        consumer.assign([kafka.TopicPartition(topic, partition, kafka.OFFSET_BEGINNING) for partition in partitions])
        found, ended = [], set()
        while len(ended) < len(partitions):
            message = consumer.poll(TOOL_S)
            assert message is not None, f"{topic} could not be read in {TOOL_S} s"
            if message.error() and message.error().code() == kafka.KafkaError._PARTITION_EOF:
                ended.add(message.partition())
            else:
                assert not message.error(), message.error()
                found.append(message)
        consumer.close()
        return sorted(found, key=lambda message: (message.partition(), message.offset()))

    def await_groups(self):
        """The cluster makes a place for groups when it is first asked for one, and refuses meanwhile."""
        kafka = confluent()
        consumer = kafka.Consumer({**self.client(), "group.id": "interop-look"})

        def answers():
            try:
                return consumer.committed([kafka.TopicPartition("any", 0)], timeout=TOOL_S)
            except kafka.KafkaException as refused:
                if not refused.args[0].retriable() and refused.args[0].code() != kafka.KafkaError.NOT_COORDINATOR:
                    raise
                return None
        conftest.wait_until(answers, "a coordinator of groups", TOOL_S)
        consumer.close()

    # Other people's programs

    def tool(self, name, *words, stdin=b"", listener="PLAINTEXT"):
        """One of the Java tools, by the name of its class: "TopicCommand", "consumer.ConsoleConsumer" …"""
        return ask(java(f"org.apache.kafka.tools.{name}", "--bootstrap-server", self.bootstrap(listener), *words,
                        heap="256m"), stdin)

    def kcat(self, *words, stdin=b"", listener="PLAINTEXT", **client):
        """Not by SCRAM: Debian's has librdkafka 2.0.2, which a broker of Kafka 4 refuses there (mended in 2.6.1)."""
        properties = self.client(listener, **client)
        return ask(["kcat", "-m60", *(f"-X{name}={value}" for name, value in properties.items()), *words], stdin)


@contextlib.contextmanager
def running(directory, **options):
    """options: nodes, settings of the servers, advertised places of listeners, whether it lasts (is measured)."""
    kafka = Kafka(directory, **options)
    try:
        kafka.start()
        yield kafka
    finally:
        for node in kafka.nodes:
            if node.process:
                node.kill()
