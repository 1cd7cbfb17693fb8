"""The page in a real browser: each pane with what really runs behind it."""

import hashlib
import json
import shutil
import subprocess
import urllib.error
import urllib.request

import pytest

from conftest import Gateway, TOP, wait_until
from pages import ID, fixture_chromium, fixture_open_page, fixture_up  # pylint: disable=unused-import

PINS = [{"index": n, "title": f"Title {n}", "category": "travel" if n % 3 else "art", "follower_count": f"{n}k",
         "poster_name": f"poster {n}"} for n in range(1, 21)]
GEOS = [{"ind": n, "country": "Albania" if n % 2 else "Peru", "timestamp": f"20{10 + n % 9}-01-01 00:00:00",
         "latitude": 1.5, "longitude": 2.5} for n in range(1, 21)]
USERS = [{"ind": n, "first_name": "Ann", "last_name": "Lee", "age": 20 + n, "date_joined": "2016-02-15 09:27:53"}
         for n in range(1, 21)]


@pytest.fixture(name="full")
def fixture_full(up):
    """A pipeline with twenty rows in each table of both paths."""
    pipeline = up("--batch-every", "500ms")
    for table, values in (("pin", PINS), ("geo", GEOS), ("user", USERS)):
        pipeline.post(table, *values)
        pipeline.put(table, *values[:5])
    return pipeline


def is_live(page):
    page.wait("document.querySelector('#link')?.dataset.is === 'live'", "the status, live")


def go(page, pane):
    page.run(f"location.hash = '#{pane}'")
    page.wait(f"!document.querySelector('#pane-{pane.split('/')[0]}').hidden")


def has_drawn(page):
    """The pane has its answers, and what looks at its own size has had its turn."""
    page.wait("!document.querySelector('main [aria-busy]')", "an answer")
    page.run("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def choose_topic(page, topic):
    page.wait("document.querySelectorAll('#records-topic option').length === 6", "the topics")
    page.run(f"""(topics => {{ topics.value = '{topic}'; topics.dispatchEvent(new Event('change')); }})(
        document.querySelector('#records-topic'))""")


def look_for_letters(page, words):
    """A pane asks when it is looked at."""
    def look():
        go(page, "flow")
        go(page, "letters")
        page.wait("!document.querySelector('#pane-letters [aria-busy]')", "the letters")
        return words in page.text("#pane-letters")
    wait_until(look, f"{words!r} among the letters")


# --- the panes, with live data --------------------------------------------------------

def test_flow_is_the_pipeline_as_it_is(full, open_page, run, data_dir):
    page = open_page(full.admin_url())
    is_live(page)
    page.wait_text("fine", "#verdict")
    page.wait_text("60", "#box-tables .figure")  # rows of the batch path
    page.wait_text("15", "#box-live .figure")
    assert page.text("#box-log .figure") == "75"
    for box in ("gateway", "log", "sink", "lake", "batch", "tables", "answers", "stream", "live"):
        lights = page.run(f"[...document.querySelectorAll('#box-{box} .word')].map(word => word.innerText)")
        assert lights == ["runs", "fresh", "checked"]
        assert page.run(f"document.querySelector('#box-{box} h3 .light').dataset.is") in ("ok", "warn"), box
    page.wait("[...document.querySelectorAll('.plot canvas')].length === 4", "four charts")
    status = json.loads(run("status", "--dir", data_dir, "--format", "json", status=None).stdout)
    for row in status["rows"]:
        page.wait_text(row["name"], "#rows")
    for process in status["processes"]:
        page.wait_text(process["process"], "#processes")
    run("check", "--dir", data_dir)
    page.wait("document.querySelector('#box-lake .lights li:nth-child(3) .light').dataset.is === 'ok'", "checked: ok")


@pytest.mark.parametrize("width", [1280, 1900, 900])
def test_flow_is_laid_out(full, open_page, width):
    """Charts stand beside each other, and what is on an arrow is broken between its parts alone."""
    page = open_page(full.url, width=width)
    page.run("document.addEventListener('status', event => { window.told ??= event.detail; })")
    page.wait("window.told && document.querySelectorAll('.plot canvas').length === 4", "charts and a status")
    charts = page.run("[...document.querySelectorAll('.chart')].map(chart => [chart, chart.querySelector('.plot')]"
                      ".map(node => (box => [Math.round(box.top), Math.round(box.bottom)])"
                      "(node.getBoundingClientRect())))")
    assert len({chart[0][0] for chart in charts}) == len({plot[1] for _, plot in charts}) == (2 if width < 1230 else 1)
    assert {plot[1] - plot[0] for _, plot in charts} == {120}
    parts = page.run("""(() => {
        const rows = window.told.rows.map(row => ({ ...row, lag: 25, late_seconds: 1.1, behind: false }));
        document.dispatchEvent(new CustomEvent("status", { detail: { ...window.told, rows } }));
        return [...document.querySelectorAll(".wire-label span span, .wire-label b span")].map(part =>
            [part.textContent, part.getBoundingClientRect().height]); })()""")
    assert ["75 wait", "1.1\u00a0s"] == [text for text, _ in parts if text in ("75 wait", "1.1\u00a0s")][:2]
    assert all(height < 18 for _, height in parts), parts


def test_a_batch_runs_now(up, open_page):
    pipeline = up("--batch-every", "1h")
    page = open_page(pipeline.admin_url())
    is_live(page)
    pipeline.post("pin", *PINS)
    page.wait_text("20", "#box-sink .figure")
    page.click("#run-now")
    page.wait_text("20 rows", "#pane-flow .said")
    page.wait_text("20", "#box-tables .figure")


def test_what_is_not_well_is_said_in_words(up, open_page, data_dir, run):
    pipeline = up("--batch-every", "1h")
    pipeline.post("pin", *PINS)
    objects = wait_until(lambda: sorted(data_dir.glob("lake/topics/*/*/*.json")), "an object")
    pipeline.post("pin", *PINS)
    wait_until(lambda: len(list(data_dir.glob("lake/topics/*/*/*.json"))) == 2, "another")
    objects[0].unlink()
    run("check", "--dir", data_dir, status=1)
    page = open_page(pipeline.url)
    page.wait_text("pinpipe check found", "#reasons")
    assert page.run("document.querySelector('#box-lake h3 .light').dataset.is") == "bad", "the worst light wins"
    assert "not well" in page.run("document.querySelector('#box-lake .lights').textContent"), "and not by colour alone"
    page.wait("document.title.includes('▲')")


def test_tables_show_rows_schema_and_how_to_read_them(full, open_page):
    page = open_page(full.url + "/#tables")
    page.wait("document.querySelectorAll('#pane-tables tbody tr').length === 6", "six tables")
    rows = "[...document.querySelectorAll('#pane-tables tbody tr')]"
    full_row = f"{rows}.find(row => row.innerText.startsWith('pin\\tbatch'))"
    page.wait(f"{full_row}.innerText.includes('\\t20\\t')", "twenty rows", 30)
    page.click("a[href='#tables/pin/batch']")
    page.wait_text("Title 20", "#pane-tables .detail")
    for words in ("follower_count", "DeltaTable", "polars", "duckdb", "spark", "Versions", "CREATE TABLE"):
        page.wait(f"document.querySelector('#pane-tables .detail').innerText.toLowerCase().includes({words.lower()!r})",
                  words)
    full.post("pin", {"index": 21, "title": "came later"})
    page.wait_text("came later", "#pane-tables .detail")  # by itself
    page.run("""Object.defineProperty(navigator, 'clipboard',
        { value: { writeText: async text => { window.copied = text; } } })""")
    page.click("#pane-tables .code .copy")
    page.wait("window.copied?.includes('124df56aef51_pin_clean')", "the line in the clipboard")


def test_answers_are_drawn_and_given_as_files(full, open_page):
    page = open_page(full.url + "/#answers")
    page.wait("document.querySelectorAll('.list a').length === 8", "eight analyses")
    page.wait("document.querySelectorAll('.bars li').length > 0", "bars")
    assert page.run("document.querySelectorAll('.bars li b')[0].textContent").replace(",", "").isdigit()
    go(page, "answers/users_joined_by_year")
    page.wait_text("2016", "#pane-answers .answer")
    page.click(".its-sql summary")
    page.wait_text("SELECT", ".its-sql[open]")
    for kind in ("csv", "json", "parquet"):
        link = page.run(f"document.querySelector('a[download$=\".{kind}\"]').getAttribute('href')")
        size = page.run(f"fetch({link!r}).then(async r => r.ok ? (await r.arrayBuffer()).byteLength : -r.status)")
        assert size > 0, (kind, size)
    full.post("user", {**USERS[0], "ind": 99, "date_joined": "2019-02-15 09:27:53"})
    page.wait_text("2019", "#pane-answers .answer")  # by itself, after the next batch
    assert page.run("document.querySelector('.its-sql').open"), "and what was opened stays so"
    page.wait("document.querySelectorAll('.runs li').length > 0", "a run")
    assert "done" in page.run("document.querySelector('.runs li').title")


def test_all_rows_of_an_answer_or_the_top_fifteen(up, open_page, tmp_path):
    models = shutil.copytree(TOP / "models", tmp_path / "models")
    pipeline = up("--models", models, "--batch-every", "500ms")
    pipeline.post("pin", *PINS)
    (models / "analyses" / "each.sql").write_text(
        "-- title: Each\n-- chart: bar\nSELECT title, follower_count FROM pin ORDER BY ind\n")
    page = open_page(pipeline.url + "/#answers/each")
    page.wait("document.querySelectorAll('.bars li').length === 15", "fifteen bars", 60)
    page.click("#pane-answers .answer button")
    page.wait("document.querySelectorAll('.bars li').length === 20", "twenty")


def test_records_come_in_live_are_filtered_and_found(full, open_page):
    page = open_page(full.url + "/#records")
    choose_topic(page, f"{ID}.pin")
    page.wait_text("Title 20", "#pane-records .feed")
    page.wait("document.querySelector('#tail').getAttribute('aria-pressed') === 'true'", "it follows")

    def comes_in():
        full.post("pin", {"index": 77, "title": "came later"})
        return "came later" in page.text("#pane-records .feed")

    wait_until(comes_in, "a record, live")
    page.type("#records-form input[name=contains]", "Title 7\"")
    page.run("document.querySelector('#records-form').requestSubmit()")
    page.wait("document.querySelectorAll('.feed tbody tr').length === 1", "the one that holds it")

    def is_a_row():
        page.click(".feed tbody button")
        page.wait_text("pin, batch path", ".where-answer")
        return "pin, batch path: it is a row" in page.text(".where-answer")

    wait_until(is_a_row, "its row")
    for words in ("Log: it is there", "Lake: it is in an object", f"topics/{ID}.pin/partition=0/", "since version"):
        page.wait_text(words, ".where-answer")
    page.click(".where-answer summary")
    page.wait_text("poster 7", ".where-answer")


def test_what_is_empty_says_what_to_do(up, open_page):
    pipeline = up("--batch-every", "1h")
    page = open_page(pipeline.url + "/#records")
    choose_topic(page, f"{ID}.geo")
    page.wait_text("Paste this into a terminal", "#pane-records")
    page.wait("document.querySelector('#tail').getAttribute('aria-pressed') === 'true'", "it follows")
    request = page.run("document.querySelector('#pane-records .first pre').textContent")

    def comes_in():
        subprocess.run(["/bin/sh", "-c", request], capture_output=True, check=True, timeout=60)
        return "Albania" in page.text("#pane-records .feed")

    wait_until(comes_in, "the record")
    assert "Paste this" not in page.text("#pane-records")
    for pane, words in (("answers", "No row answers this yet"), ("letters", "No letters"),
                        ("tables/pin/batch", "No row yet")):
        go(page, pane)
        page.wait_text(words, "main")


def test_letters_by_reason_with_samples_and_another_try(full, open_page):
    full.post("pin", {"index": "abc"}, {"index": "abd"}, {"title": "none"})
    page = open_page(full.admin_url())
    is_live(page)
    look_for_letters(page, "for 2 reasons")
    page.click("#pane-letters button.as-link")
    page.wait("document.querySelectorAll('#pane-letters .detail tbody tr').length === 2", "its two samples")
    page.wait_text("abd", "#pane-letters .detail")
    page.click("#pane-letters tbody tr:first-child button.small")
    page.wait_text("Yes, try 2 letters again")
    page.click("#pane-letters tbody tr:first-child button.small")
    page.wait_text("Tried again", "#pane-letters .said")


def test_sql_is_answered_and_errors_are_shown(full, open_page):
    page = open_page(full.admin_url())
    is_live(page)
    go(page, "sql")
    page.type("#sql-text", "SELECT category, count(*) AS n, 9007199254740993 AS big FROM pin GROUP BY ALL")
    page.press("Enter", 13, "\r", modifiers=2)
    page.wait_text("2 rows in", "#pane-sql .said")
    assert "9007199254740993" in page.text("#sql-answer").replace(",", ""), "no digit is lost"
    page.run("document.querySelector('#sql-text').select()")
    page.type("#sql-text", "SELECT nope FROM pin")
    page.click("#sql-run")
    page.wait_text("nope", "#sql-answer pre.error")
    page.run("document.querySelector('#sql-text').select()")
    page.type("#sql-text", "SELECT range AS n FROM range(5000)")
    page.click("#sql-run")
    page.wait_text("1,000 rows", "#pane-sql .said")
    page.wait_text("there may be more", "#pane-sql .said")
    page.run("document.querySelector('#sql-text').select()")
    page.type("#sql-text", "SELECT ']\\n[' AS one, [[1],\n[2]] AS lists; SELECT 2 AS two; SELECT 3 WHERE false")
    page.click("#sql-run")
    page.wait_text("2 rows in", "#pane-sql .said")
    assert page.run("[...document.querySelectorAll('#sql-answer th')].map(node => node.textContent)") == \
        ["one", "lists", "two"]
    page.wait_text("No row.", "#sql-answer")


def test_requests_to_paste_work(full, open_page):
    page = open_page(full.url + "/#post")
    page.wait("document.querySelectorAll('.curls pre').length === 6", "a request a topic")
    for text in page.run("[...document.querySelectorAll('.curls pre')].map(pre => pre.textContent)"):
        done = subprocess.run(["/bin/sh", "-c", text.replace("curl ", "curl -sS -w '%{http_code}' -o /dev/null ", 1)],
                              capture_output=True, text=True, check=True, timeout=60)
        assert done.stdout == "200", (text, done)


def test_numbers_are_short_and_no_more_exact_than_they_are(empty_gateway, open_page):
    page = open_page(empty_gateway.url)
    for call, shown in (("duration(0.00042)", "0.4 ms"), ("duration(0.3)", "0.3 s"), ("duration(0.0999)", "0.1 s"),
                        ("duration(41.2)", "41 s"), ("duration(119.9)", "2 min"), ("duration(7199)", "1 h 59 min"),
                        ("duration(200000)", "2 d"), ("duration(null)", "–"), ("rate(0)", "0 /s"),
                        ("rate(1204.4)", "1,204 /s"), ("rate(2.25)", "2.3 /s"), ("bytes(999)", "999 B"),
                        ("bytes(1000)", "1.0 KB"), ("bytes(82469)", "82.5 KB"), ("bytes(815000)", "815 KB"),
                        ("count(1234567)", "1,234,567"),
                        ("plural(1, 'row')", "1 row"), ("plural(0, 'query', 'queries')", "0 queries")):
        said = page.wait(f"import('/ui/assets/format.js').then(format => format.{call})")
        assert said.replace("\xa0", " ") == shown, call


# --- the gateway goes and comes --------------------------------------------------------

def test_it_goes_on_after_the_gateway_restarts(start_gateway, start, open_page, data_dir):
    gateway = start_gateway()
    page = open_page(gateway.url)
    is_live(page)
    gateway.stop()
    page.wait("document.querySelector('#link').dataset.is === 'lost'", "that it is lost")
    page.wait_text("does not answer", "#notice")
    again = start("gateway", "--listen", f"127.0.0.1:{gateway.port}", "--dir", data_dir, kind=type(gateway)).listen()
    is_live(page)
    page.wait("document.querySelector('#notice').hidden")
    again.stop()


# --- what is hostile --------------------------------------------------------------------

HOSTILE = ["<img src=x onerror=\"window.hit=1\">", "</script><script>window.hit=1</script>", "\u202ereversed\u202c",
           "nul\u0000byte", "javascript:window.hit=1", "'\"><svg onload=window.hit=1>",
           "{{constructor.constructor('window.hit=1')()}}"]


def test_nothing_is_ever_html(up, open_page, tmp_path):
    models = shutil.copytree(TOP / "models", tmp_path / "models")
    (models / "analyses" / "hostile.sql").write_text(
        f"-- title: {HOSTILE[0]}\n-- description: {HOSTILE[1]}\n-- chart: bar\n"
        "SELECT title AS \"<b onclick=window.hit=1>t\", count(*) AS n FROM pin GROUP BY ALL\n")
    pipeline = up("--models", models, "--batch-every", "500ms")
    values = [{"index": n, "title": text, "description": text, "category": text} for n, text in enumerate(HOSTILE)]
    pipeline.post("pin", *values)
    pipeline.put("pin", *values)
    pipeline.post("pin", *[{"index": text} for text in HOSTILE], {"index": 99, "title": "x" * 1000000})
    page = open_page(pipeline.admin_url())
    is_live(page)
    for pane in ("tables/pin/batch", "tables/pin/stream", "answers", "records", "letters", "sql", "post", "flow"):
        go(page, pane)
        has_drawn(page)
    go(page, "records")
    choose_topic(page, f"{ID}.pin")
    page.wait_text("<img src=x onerror=", "#pane-records .feed")
    page.wait_text("characters", "#pane-records .feed")  # of the long one only a part
    assert page.run("document.querySelector('#pane-records .feed').innerText.length") < 100000
    look_for_letters(page, "is no 32-bit integer")
    page.click("#pane-letters button.as-link")
    page.wait_text("onerror", "#pane-letters .detail")
    go(page, "answers/hostile")
    page.wait_text("<img src=x onerror=", "#pane-answers .list")
    page.wait_text("<script>window.hit", "#pane-answers .answer")
    assert page.run("window.hit") is None
    assert page.run("document.querySelectorAll('main img, main script').length") == 0


def write_letters(lake, topic, count):
    """Letters of the sink, as it writes them, of three thousand reasons."""
    place = lake / "dlq" / topic / "partition=0"
    place.mkdir(parents=True)
    before, step = "none", 100000
    for first in range(0, count, step):
        last = f"{first + step - 1:020d}"
        (place / f"{before}-{last}.ndjson").write_text("".join(
            f'{{"topic":"{topic}","partition":"0","offset":"{n:020d}","stage":"sink","timestamp_ms":0,"value":"IjEi",'
            f'"reason":"kind {chr(97 + n % 25)}{chr(97 + n // 25 % 20)}{chr(97 + n // 500 % 6)}"}}\n'
            for n in range(first, first + step)))
        before = last


def test_a_million_letters_stay_a_short_page(up, open_page):
    pipeline = up("--batch-every", "1h")
    write_letters(pipeline.dir / "lake", f"{ID}.pin", 1000000)
    page = open_page(pipeline.url + "/#letters")
    page.wait_text("1,000,000 records could not go on, for 3,000 reasons", "#pane-letters")
    assert page.run("document.querySelectorAll('#pane-letters tbody tr').length") == 200
    page.wait_text("2,800 rarer reasons are left out", "#pane-letters")
    page.click("#pane-letters button.as-link")
    page.wait("document.querySelectorAll('#pane-letters .detail tbody tr').length === 20", "twenty samples")


# --- how it looks to whom ----------------------------------------------------------------

PANES = ("flow", "tables", "answers", "records", "letters", "sql", "post")


def test_no_pane_is_wider_than_a_small_screen(full, open_page):
    page = open_page(full.admin_url(), width=400, height=800)
    is_live(page)
    for pane in (*PANES, "tables/pin/batch"):
        go(page, pane)
        has_drawn(page)
        assert page.run("document.documentElement.scrollWidth") <= 400, pane


def test_the_keyboard_is_enough(full, open_page):
    page = open_page(full.url)
    is_live(page)
    page.press("Tab", 9)
    assert page.run("document.activeElement.textContent") == "Skip to the pane"
    page.press("Enter", 13, "\r")
    page.wait("document.activeElement.id === 'main'", "the pane")
    page.run("document.querySelector('[role=tab][aria-selected=true]').focus()")
    for pane in PANES[1:]:
        page.press("ArrowRight", 39)
        page.wait(f"!document.querySelector('#pane-{pane}').hidden && document.activeElement.id === 'tab-{pane}'", pane)
    page.press("Home", 36)
    page.wait("document.activeElement.id === 'tab-flow' && !document.querySelector('#pane-flow').hidden", "flow")
    others = page.run("document.querySelectorAll('[role=tab][tabindex=\"-1\"]').length")
    assert others == len(PANES) - 1, "all tabs together are one stop of the tab key"
    outline = page.run("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid", "the focus is seen"
    # What has the focus keeps it while the status comes in.
    page.run("document.querySelector('#run-now').focus()")
    page.run("new Promise(done => document.addEventListener('status', () => setTimeout(done, 50), { once: true }))")
    assert page.run("document.activeElement.id") == "run-now"


NAMED = ("button", "link", "textbox", "combobox", "tab", "tabpanel", "img", "table")


def test_everything_has_a_name(full, open_page):
    """By the browser's own tree for screen readers: no control without a name."""
    page = open_page(full.admin_url())
    is_live(page)
    for pane in PANES:
        go(page, pane)
        has_drawn(page)
        nodes = page.call("Accessibility.getFullAXTree")["nodes"]
        nameless = [node["role"]["value"] for node in nodes if not node.get("ignored")
                    and node.get("role", {}).get("value") in NAMED
                    and not node.get("name", {}).get("value")]
        assert not nameless, (pane, nameless)


def luminance(colour):
    parts = [float(part) / 255 for part in colour[colour.index("(") + 1:-1].split(",")[:3]]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("dark", [False, True])
def test_text_stands_out_in_light_and_in_dark(full, open_page, dark):
    page = open_page(full.url, dark=dark)
    is_live(page)
    ground = page.run("getComputedStyle(document.body).backgroundColor")
    assert (luminance(ground) < 0.1) == dark
    for selector in ("body", ".dim, .id, .unit", ".wire-label", ".tabs button", "th", "td"):
        ink = page.run(f"getComputedStyle(document.querySelector({selector!r})).color")
        light, deep = sorted((luminance(ink), luminance(ground)), reverse=True)
        assert (light + 0.05) / (deep + 0.05) >= 4.5, (selector, ink, ground)
    page.click("#theme")
    page.wait("document.documentElement.dataset.theme === 'light'")
    page.click("#theme")
    page.wait("document.documentElement.dataset.theme === 'dark'")
    assert luminance(page.run("getComputedStyle(document.body).backgroundColor")) < 0.1


def test_nothing_moves_for_whom_that_is_too_much(full, open_page):
    page = open_page(full.url, still=True)
    is_live(page)
    page.run("document.querySelectorAll('.dots').forEach(dots => dots.classList.add('moves'))")
    assert page.run("getComputedStyle(document.querySelector('.dots')).animationName") == "none"


# --- keys ------------------------------------------------------------------------------------

def test_the_token_goes_out_of_the_address(full, open_page):
    page = open_page(full.admin_url())
    is_live(page)
    assert "token" not in page.run("location.href")
    assert page.run("document.cookie") == "", "no script sees the session"
    page.wait("document.querySelector('#key-button').hidden")
    page.open(full.url)  # as who comes back later
    page.wait("document.querySelector('#key-button')?.hidden && !document.querySelector('#logout').hidden", "still in")
    page.click("#logout")
    page.wait("document.querySelector('#logout')?.hidden && !document.querySelector('#key-button').hidden", "out")
    is_live(page)


def test_a_token_waits_for_its_turn(start_gateway, open_page, data_dir):
    """Too many wrong ones came from this address; what needs none is shown meanwhile."""
    gateway = start_gateway()
    token = (data_dir / "page.token").read_text().strip()

    def log_in(key):
        request = urllib.request.Request(f"{gateway.url}/ui/session", json.dumps({"key": key}).encode(),
                                         {"Content-Type": "application/json", "Origin": gateway.url})
        try:
            return urllib.request.urlopen(request, timeout=10).status
        except urllib.error.HTTPError as error:
            return error.code

    wait_until(lambda: log_in("wrong") == 429, "too many tries")
    page = open_page(f"{gateway.url}/#token={token}")
    page.wait_text("Trying again", "#notice")
    is_live(page)
    assert not page.run("document.querySelector('#key-button').hidden")
    page.wait("document.querySelector('#key-button').hidden && document.querySelector('#notice').hidden", "in", 60)
    other = open_page(f"{gateway.url}/#token=of-yesterday")
    other.wait_text("no longer, known here", "#notice")
    is_live(other)
    assert "no longer, known here" in other.text("#notice"), "it stays to be read"
    wait_until(lambda: log_in(token) == 200, "another try")
    other.click("#key-button")
    other.type("#key-input", token)
    other.press("Enter", 13, "\r")
    other.wait("document.querySelector('#notice').hidden && document.querySelector('#key-button').hidden", "in")


def test_without_the_token_looking_is_all(full, open_page):
    page = open_page(full.url)
    is_live(page)
    page.click("#run-now")
    page.wait("document.querySelector('#key-dialog').open", "the question for a key")
    page.type("#key-input", "wrong")
    page.press("Enter", 13, "\r")
    page.wait_text("not known", "#key-error")
    page.run("document.querySelector('#key-input').select()")
    page.type("#key-input", full.token())
    page.press("Enter", 13, "\r")
    page.wait("!document.querySelector('#key-dialog').open && document.querySelector('#key-button').hidden", "in")


def test_a_gateway_with_keys_asks_for_one(start, open_page, data_dir):
    key = "k" * 40
    gateway = start("gateway", "--listen", "127.0.0.1:0", "--dir", data_dir,
                    env={"PINPIPE_GATEWAY_API_KEY_SHA256": hashlib.sha256(key.encode()).hexdigest()})
    url = gateway.wait_for(r"listening on (http://\S+)")[1]
    page = open_page(url)
    page.wait("document.querySelector('#key-dialog').open", "the question for a key")
    page.press("Escape", 27)
    assert page.run("document.querySelector('#key-dialog').open"), "there is nothing to see without"
    page.type("#key-input", key)
    page.press("Enter", 13, "\r")
    is_live(page)
    assert page.run("JSON.stringify([localStorage, sessionStorage])").find(key) < 0


def test_a_key_shows_what_it_may(start, open_page, data_dir, tmp_path):
    keys = tmp_path / "keys"
    keys.write_text("".join(f"{name} {scopes} {hashlib.sha256(name.encode()).hexdigest()}\n"
                            for name, scopes in (("poster", "post"), ("reader", "read"), ("chief", "read,admin"))))
    gateway = start("gateway", "--listen", "127.0.0.1:0", "--dir", data_dir, env={"PINPIPE_GATEWAY_KEYS": str(keys)})
    page = open_page(gateway.wait_for(r"listening on (http://\S+)")[1])

    def give(key):
        page.wait("document.querySelector('#key-dialog').open", "the question for a key")
        page.run("document.querySelector('#key-input').select()")
        page.type("#key-input", key)
        page.press("Enter", 13, "\r")

    give("poster")
    page.wait_text("no scope read", "#key-error")
    give("reader")
    is_live(page)
    page.click("#run-now")
    give("reader")
    page.wait_text("no scope admin", "#key-error")
    give("chief")
    page.wait("!document.querySelector('#key-dialog').open && document.querySelector('#key-button').hidden", "in")
