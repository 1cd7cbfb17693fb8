"""What the tests of faults of Kafka share: a pipeline on it, posts under the faults, and what has become of them."""
import collections
import json
import threading

import conftest
from test_kafka import landed, post

ID = "faults"
PIN, GEO = f"{ID}.pin", f"{ID}.geo"
BACK_S = 90  # until a broker that was killed serves again, on a busy machine


def prepare(kafka, directory, **settings):
    """pinpipe.yaml for all commands of the test (message_timeout_ms=1000 for `message.timeout.ms`), and the topics of
    its id are gone."""
    client = {**kafka.client(), **{name.replace("_", "."): value for name, value in settings.items()}}
    lines = [f"id: {ID}", "broker:", "  kind: kafka", "kafka:"]
    lines += [f"  {name}: {json.dumps(value)}" for name, value in client.items()]
    (directory / "pinpipe.yaml").write_text("\n".join(lines) + "\n")
    there = kafka.admin.list_topics(timeout=60).topics
    for topic in (PIN, GEO):
        if topic in there:
            kafka.delete(topic)


def pin(index):
    return json.dumps({"index": index, "title": f"t{index}"}).encode()


def checked(run, data_dir, topic=PIN):
    done = run("check", "--dir", data_dir, "--format", "json")
    return {row["topic"]: row for row in json.loads(done.stdout)}[topic]


class Load:
    """Posts one record after the other until it is ended; knows which were acknowledged."""

    def __init__(self, gateway, threads=4):
        self.gateway, self.ending, self.acknowledged, self.refused = gateway, False, [], 0
        self.threads = [threading.Thread(target=self.work, args=(n,)) for n in range(threads)]
        for thread in self.threads:
            thread.start()

    def work(self, thread):
        number = 0
        while not self.ending:
            number += 1
            key = f"{thread}-{number}"
            status, answer, _ = post(self.gateway, PIN, [{"index": number, "title": key}])
            if status == 200 and answer["offsets"][0].get("offset") is not None:
                self.acknowledged.append(key)
            else:
                self.refused += 1

    def await_more(self, count=50):
        want = len(self.acknowledged) + count
        conftest.wait_until(lambda: len(self.acknowledged) >= want, "more acknowledgements", BACK_S)

    def end(self):
        self.ending = True
        for thread in self.threads:
            thread.join()


def expect_once(load, data_dir):
    titles = collections.Counter(value["title"] for value in landed(data_dir, PIN))
    assert not [key for key in load.acknowledged if titles[key] == 0]
    assert not [key for key, times in titles.items() if times > 1]
