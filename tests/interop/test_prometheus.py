"""deploy/prometheus and deploy/grafana: a real Prometheus scrapes a pipeline at work by them."""

import json
import pathlib
import re
import shutil
import subprocess
import urllib.parse
import urllib.request

import pytest

from conftest import TOP, free_port, wait_until

ID = "124df56aef51"
CACHE = TOP / ".cache" / "interop-prometheus" / "usr" / "bin"
DEPLOY = TOP / "deploy"

pytestmark = pytest.mark.ci


def tool(name):
    found = shutil.which(name) or (CACHE / name if (CACHE / name).exists() else None)
    assert found, f"{name} is missing: tools/interop/install-prometheus"
    return str(found)


def promtool(*words, stdin=None):
    """Its exit status, and all that it says."""
    done = subprocess.run([tool("promtool"), *map(str, words)], input=stdin, capture_output=True, text=True,
                          timeout=120, check=False)
    return done.returncode, done.stdout + done.stderr


def fetch(url):
    with urllib.request.urlopen(url) as reply:
        return reply.read().decode()


def test_the_configuration_and_the_rules_are_right():
    status, said = promtool("check", "config", DEPLOY / "prometheus" / "prometheus.yml")
    assert status == 0 and "rules found" in said, said
    status, said = promtool("test", "rules", pathlib.Path(__file__).parent / "pinpipe_rules.test.yml")
    assert status == 0, said


@pytest.fixture(name="pipeline")
def fixture_pipeline(start, data_dir):
    """Its address, when records have come through both paths."""
    service = start("up", "--dir", data_dir, "--listen", "127.0.0.1:0", "--flush-age", "100ms",
                    "--batch-every", "300ms")
    url = service.wait_for(r"listening on (http://\S+)")[1]
    urllib.request.urlopen(urllib.request.Request(
        f"{url}/topics/{ID}.pin", b'{"records":[{"value":{"index":1}},{"value":"no row"}]}',
        {"Content-Type": "application/vnd.kafka.json.v2+json"})).read()
    wait_until(lambda: 'pinpipe_table_rows_total{path="batch",table="pin"} 1\n' in fetch(f"{url}/metrics"), "a row")
    return url


def test_the_metrics_are_well_formed(pipeline):
    """What promtool finds beyond the format is a matter of taste: our times in microseconds are older than it."""
    _, said = promtool("check", "metrics", stdin=fetch(f"{pipeline}/metrics"))
    assert "error while linting" not in said and "parse" not in said, said
    faults = [line for line in said.splitlines() if "base unit" not in line and "abbreviated" not in line]
    assert not faults, faults


@pytest.fixture(name="prometheus")
def fixture_prometheus(tmp_path, pipeline):
    """Its address; it scrapes the pipeline as deploy/prometheus says, only more often."""
    for path in (DEPLOY / "prometheus").iterdir():
        shutil.copy(path, tmp_path)
    config = (tmp_path / "prometheus.yml").read_text()
    (tmp_path / "prometheus.yml").write_text(
        config.replace("127.0.0.1:8082", pipeline.removeprefix("http://")).replace(": 15s", ": 200ms"))
    address = f"127.0.0.1:{free_port()}"
    with open(tmp_path / "prometheus.out", "wb") as said, subprocess.Popen(
            [tool("prometheus"), f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/tsdb",
             f"--web.listen-address={address}"], stdout=said, stderr=said) as server:
        def scraped():
            try:
                return ask(f"http://{address}", "up == 1")
            except OSError:
                assert server.poll() is None, (tmp_path / "prometheus.out").read_text()
                return None
        try:
            wait_until(scraped, "a scrape")
            yield f"http://{address}"
        finally:
            server.terminate()


def ask(prometheus, query):
    """The values that a query gives, by their labels."""
    found = json.loads(fetch(f"{prometheus}/api/v1/query?{urllib.parse.urlencode({'query': query})}"))
    assert found["status"] == "success", found
    return {tuple(sorted(row["metric"].items())): float(row["value"][1]) for row in found["data"]["result"]}


def test_a_prometheus_has_it_all(prometheus):
    assert sum(ask(prometheus, "pinpipe_sink_records_total").values()) == 2
    assert sum(ask(prometheus, f'pinpipe_topic_records_total{{topic="{ID}.pin"}}').values()) == 2
    assert ask(prometheus, "histogram_quantile(0.99, pinpipe_ack_seconds_bucket)").popitem()[1] > 0
    up = ask(prometheus, 'pinpipe_process_up{process=~"up|gateway|sink|stream|maintain"} == 1')
    assert len(up) == 5
    rules = json.loads(fetch(f"{prometheus}/api/v1/rules"))["data"]["groups"][0]["rules"]
    wait_until(lambda: all(rule["health"] == "ok" for rule in json.loads(fetch(f"{prometheus}/api/v1/rules"))
                           ["data"]["groups"][0]["rules"]), "the rules to be evaluated")
    assert len(rules) > 10
    firing = ask(prometheus, 'ALERTS{alertstate="firing",severity="page"}')
    assert not firing, firing


def test_every_panel_of_the_board_shows_what_there_is(prometheus):
    board = json.loads((DEPLOY / "grafana" / "pinpipe.json").read_text())
    known = set(json.loads(fetch(f"{prometheus}/api/v1/label/__name__/values"))["data"])
    for panel in board["panels"]:
        for target in panel["targets"]:
            query = target["expr"].replace("$__rate_interval", "1m").replace("$instance", ".*")
            names = set(re.findall(r"pinpipe_\w+", query))
            assert names <= known | {"pinpipe_sink_topic_dead_letters_total"}, (panel["title"], names - known)
            ask(prometheus, query)
