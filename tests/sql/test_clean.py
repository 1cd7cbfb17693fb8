"""The clean models: rows in, rows out."""

import json

import pytest

PIN = {"index": 7528, "unique_id": "fbe53c66", "title": "T", "description": "D", "poster_name": "P",
       "follower_count": "5", "tag_list": "a,b", "is_image_or_video": "image", "image_src": "https://i/x.jpg",
       "downloaded": 1, "save_location": "Local save in /data/art", "category": "art"}
GEO = {"ind": 7528, "timestamp": "2020-08-28 03:52:47", "latitude": -89.9787, "longitude": -173.293,
       "country": "Albania"}
USER = {"ind": 7528, "first_name": "Abigail", "last_name": "Ali", "age": 20, "date_joined": "2015-10-24 11:23:51"}

PIN_COLUMNS = ["ind", "unique_id", "title", "description", "follower_count", "poster_name", "tag_list",
               "is_image_or_video", "image_src", "save_location", "category"]


def clean(lake, table, values):
    """Each value's row, or None where it is a dead letter; and how many fields were unreadable."""
    lake.put(table, values)
    report = lake.batch()["tables"][table]
    rows = {int(row["_offset"]): row for row in lake.sql(f"SELECT * FROM {table}_all")}
    assert report["rows"] == len(rows) and report["rows"] + report["dead"] == len(values)
    assert {offset for _, offset in lake.letters(table)} == set(range(len(values))) - set(rows)
    return [rows.get(offset) for offset in range(len(values))], report["unreadable"]


def column(lake, table, template, field, name, texts):
    """What becomes of one field's values."""
    rows, unreadable = clean(lake, table, [{**template, field: text} for text in texts])
    return [row[name] for row in rows], unreadable


def test_a_pin(lake):
    (row,), unreadable = clean(lake, "pin", [PIN])
    assert unreadable == 0
    assert list(row) == [*PIN_COLUMNS, "_partition", "_offset"]
    assert list(row.values()) == [7528, "fbe53c66", "T", "D", 5, "P", "a,b", "image", "https://i/x.jpg",
                                  "/data/art", "art", "0", "00000000000000000000"]


def test_a_place(lake):
    (row,), _ = clean(lake, "geo", [GEO])
    assert row == {"ind": 7528, "country": "Albania", "coordinates": [-89.9787, -173.293],
                   "timestamp": "2020-08-28 03:52:47", "_partition": "0", "_offset": "0" * 20}


def test_a_user(lake):
    (row,), _ = clean(lake, "user", [USER])
    assert row == {"ind": 7528, "user_name": "Abigail Ali", "age": 20, "date_joined": "2015-10-24 11:23:51",
                   "_partition": "0", "_offset": "0" * 20}


def test_placeholders_of_the_scraper_become_null(lake):
    dirty = {"title": "No Title Data Available", "description": "No description available Story format",
             "poster_name": "User Info Error", "follower_count": "User Info Error",
             "tag_list": "N,o, ,T,a,g,s, ,A,v,a,i,l,a,b,l,e", "image_src": "Image src error."}
    rows, unreadable = clean(lake, "pin", [{**PIN, **dirty}, {**PIN, "description": "No description available"},
                                           {**PIN, "title": "Untitled", "description": "Untitled"}])
    assert unreadable == 0, "a placeholder is no damage"
    assert [name for name in PIN_COLUMNS if rows[0][name] is None] == [
        "title", "description", "follower_count", "poster_name", "tag_list", "image_src"]
    assert rows[1]["description"] is None
    assert (rows[2]["title"], rows[2]["description"]) == ("Untitled", "Untitled")


@pytest.mark.parametrize("table, template", [("pin", PIN), ("geo", GEO), ("user", USER)])
def test_empty_and_missing_fields_are_null(lake, table, template):
    key = "index" if table == "pin" else "ind"
    values = [{name: 7528 if name == key else value for name in template} for value in ("", None)]
    rows, unreadable = clean(lake, table, [*values, {key: 7528}])
    assert unreadable == 0
    for row in rows:
        assert row["ind"] == 7528
        assert all(value in (None, [None, None]) for name, value in row.items() if name != "ind" and name[0] != "_")


def test_text_is_kept_as_it_is(lake):
    texts = ["Nicki ", " leading", "TIE DYE\u00a0\n\u00a0T-SHIRTS", 'the "basic" couponer', "back\\slash", "Tattoos🤍",
             "967", "Threshold\u0099", "\ufffd", "&#33; &#128077;", "ends…\u00a0", "nul\u0000inside", "a\tb\r\n",
             "x" * 5000]
    assert column(lake, "pin", PIN, "title", "title", texts) == (texts, 0)


def test_follower_counts(lake):
    texts = ["0", "970", "46k", "991k", "5M", "15M", "1.5M", "12.25K", "2m", "3K", 12, 46000.0,
             "999999999999999999", "0.000001M", "+5k"]
    counts = [0, 970, 46000, 991000, 5000000, 15000000, 1500000, 12250, 2000000, 3000, 12, 46000,
              999999999999999999, 1, 5000]
    assert column(lake, "pin", PIN, "follower_count", "follower_count", texts) == (counts, 0)


def test_follower_counts_that_cannot_be_read(lake):
    texts = ["many", "k", "1,234", "-5", "1.5", "1.2345k", "5 k", "99999999999999999999", True, [1], {"a": 1}, "1e3k",
             "1e3", "1234567890123456789", "1.1234567890M"]
    assert column(lake, "pin", PIN, "follower_count", "follower_count", texts) == ([None] * len(texts), len(texts))


def test_save_locations(lake):
    texts = ["Local save in /data/mens-fashion", "/data/art", "Local save in ", "local save in /data/x",
             "see Local save in /data/x", "Local save in %"]
    paths = ["/data/mens-fashion", "/data/art", None, "local save in /data/x", "see Local save in /data/x", "%"]
    assert column(lake, "pin", PIN, "save_location", "save_location", texts) == (paths, 0)


def test_timestamps_in_every_spelling_seen(lake):
    texts = ["2020-08-28 03:52:47", "2020-08-28T03:52:47", "2020-08-28T03:52:47Z", "2020-08-28T03:52:47.000",
             "2020-08-28T03:52:47.000+0000", "08/28/2020, 03:52:47", "2020:08:28 03:52:47",
             "2020-08-28T05:52:47+0200", "2020-08-27T22:22:47-05:30"]
    assert column(lake, "geo", GEO, "timestamp", "timestamp", texts) == (["2020-08-28 03:52:47"] * len(texts), 0)


def test_timestamps_keep_their_fraction_and_leap_days(lake):
    texts = ["2020-02-29T23:59:59.123456789Z", "2000-02-29 00:00:00", "1969-12-31 23:59:59.5"]
    rows = ["2020-02-29 23:59:59.123456", "2000-02-29 00:00:00", "1969-12-31 23:59:59.5"]
    assert column(lake, "geo", GEO, "timestamp", "timestamp", texts) == (rows, 0)


def test_timestamps_that_spark_reads(lake):
    texts = {"2020-08-28": "2020-08-28 00:00:00", "2021-08-06T13:18Z": "2021-08-06 13:18:00",
             "2020-8-5 3:2:7": "2020-08-05 03:02:07", "\t 2020-08-28 03:52:47\n": "2020-08-28 03:52:47",
             " 2020-8-5 ": "2020-08-05 00:00:00", "2020-08-28 03:52": "2020-08-28 03:52:00",
             "2020-08-28T03:52:47+2": "2020-08-28 01:52:47", "2020-08-28 03:52:47 UTC": "2020-08-28 03:52:47",
             "2020-08-28 03:52:47 -01:30": "2020-08-28 05:22:47", "2020-8-5T3:2:7.5Z": "2020-08-05 03:02:07.5",
             "0001-01-01": "0001-01-01 00:00:00", "9999-12-31 23:59:59.999999": "9999-12-31 23:59:59.999999"}
    assert column(lake, "geo", GEO, "timestamp", "timestamp", list(texts)) == (list(texts.values()), 0)


def test_timestamps_that_cannot_be_read(lake):
    texts = ["timestamp", "2020-13-01 00:00:00", "2019-02-29 00:00:00", "2020-08-28 24:00:00", "2020", "2020-08",
             "2020-08-28 03", "28/08/2020, 03:52:47", "8/28/2020, 03:52:47", "2020-08-28 03:52:47.",
             "2020-08-28T03:52:47+", "2020-08-28T03:52:47+19", "2020-08-28T", "2020-08-281", "2020-08-28 003:52:47",
             "2020-08-28 03:52:47 x", "2020-08-28 03:52:47 CET", " ", "20200828", 1598586767, True,
             ["2020-08-28 03:52:47"]]
    assert column(lake, "geo", GEO, "timestamp", "timestamp", texts) == ([None] * len(texts), len(texts))


def test_ages(lake):
    texts = [20, "20", 20.0, "020", "x", 20.5, 2147483648, True]
    assert column(lake, "user", USER, "age", "age", texts) == ([20, 20, 20, 20, None, None, None, None], 4)


def test_coordinates(lake):
    pairs = [(-0.0405555, -179.908), ("-89.9787", "1e2"), (17, 0), (None, 1.5), ("north", 1.5), (1e308, -0.0),
             (0.1234567890123456789, 123456789.12345678)]
    rows, unreadable = clean(lake, "geo", [{**GEO, "latitude": a, "longitude": b} for a, b in pairs])
    shown = [row["coordinates"] for row in rows]
    assert unreadable == 1
    assert shown == [[-0.0405555, -179.908], [-89.9787, 100], [17, 0], [None, 1.5], [None, 1.5], [1e308, 0],
                     list(pairs[6])]


def test_a_name_needs_both_halves(lake):
    rows, _ = clean(lake, "user", [{**USER, "first_name": None}, {**USER, "last_name": ""},
                                   {**USER, "first_name": " Ann ", "last_name": "O'Neil"}])
    assert [row["user_name"] for row in rows] == [None, None, " Ann  O'Neil"]


def test_order_of_keys_and_unknown_fields_do_not_matter(lake):
    turned = dict(sorted({**PIN, "extra": {"index": 1}}.items(), reverse=True))
    rows, _ = clean(lake, "pin", [PIN, turned])
    assert {**rows[0], "_offset": ""} == {**rows[1], "_offset": ""}


def test_numbers_of_any_size(lake):
    """A field that nobody reads may hold any; of one that is read, only what its column needs is null."""
    huge = 327267367867168100000
    (unread, text, number), unreadable = clean(lake, "geo", [{**GEO, "id": huge}, {**GEO, "country": huge},
                                                             {**GEO, "latitude": 10 ** 400}])
    assert (unread["country"], unread["coordinates"]) == ("Albania", [-89.9787, -173.293])
    assert text["country"] == str(huge)
    assert number["country"] == "Albania" and -173.293 in number["coordinates"]
    assert unreadable == 1


def test_keys(lake):
    keys = [5, "5", 5.0, "5.0", -5, "-5", 2147483647, -2147483648, 0]
    assert column(lake, "geo", GEO, "ind", "ind", keys) == ([int(float(key)) for key in keys], 0)


DEAD = [
    ("pin", b'{"index":1,', "not JSON"),
    ("pin", b"", "not JSON"),
    ("pin", b'{"index":1}{"index":2}', "not JSON"),
    ("pin", b'{"index":1,"title":"\xff"}', "not UTF-8"),
    ("pin", "a text", "a text"),
    ("pin", [PIN], "an array"),
    ("pin", 5, "a number"),
    ("pin", None, "null"),
    ("pin", {}, 'lacks "index"'),
    ("pin", {k: v for k, v in PIN.items() if k != "index"}, 'lacks "index"'),
    ("pin", {**PIN, "index": None}, '"index" is empty'),
    ("pin", {**PIN, "index": ""}, '"index" is empty'),
    ("pin", {**PIN, "index": 1.5}, "no 32-bit integer: 1.5"),
    ("pin", {**PIN, "index": 2147483648}, "no 32-bit integer"),
    ("pin", {**PIN, "index": True}, "no 32-bit integer: true"),
    ("pin", {**PIN, "index": "x" * 100}, "…"),
    ("pin", b'{"index":1,"title":"a","title":"b"}', '"title" stands in it twice'),
    ("pin", b'{"index":1,"index":1}', '"index" stands in it twice'),
    ("pin", b'{"index":1,"new":1,"title":"","new":2}', '"new" stands in it twice'),
    ("pin", {"index": 1, "name": "Maya", "age": 25, "role": "engineer"}, "a user record"),
    ("pin", GEO, "a geo record"),
    ("geo", USER, "a user record"),
    ("user", GEO, "a geo record"),
    ("user", PIN, "a pin record"),
    ("user", {"index": 7, **{k: v for k, v in USER.items() if k != "ind"}}, 'lacks "ind"'),
]


@pytest.mark.parametrize("table, good", [("pin", PIN), ("geo", GEO), ("user", USER)])
def test_dead_letters_say_why_and_keep_every_byte(lake, table, good):
    dead = [(value, reason) for where, value, reason in DEAD if where == table]
    rows, unreadable = clean(lake, table, [value for value, _ in dead] + [good])
    assert rows[:-1] == [None] * len(dead) and rows[-1] and unreadable == 0
    found = lake.letters(table)
    for offset, (value, reason) in enumerate(dead):
        why, raw = found["0", offset]
        assert reason in why, value
        assert raw == (value if isinstance(value, bytes) else json.dumps(value, ensure_ascii=False).encode())


def test_a_table_of_dead_letters_only(lake):
    lake.put("pin", ["x", "y"])
    report = lake.batch()
    assert report["tables"]["pin"]["dead"] == 2 and report["tables"]["pin"]["total_rows"] == 0
    assert lake.batch()["tables"]["pin"]["objects"] == 0, "they are not looked at again"


def test_double_encoded_bodies(lake, shared):
    lines = (shared / "dirty" / "double-encoded.ndjson").read_bytes().splitlines()
    rows, _ = clean(lake, "pin", lines)
    assert rows == [None] * len(lines)
    assert all("encoded twice" in why for why, _ in lake.letters("pin").values())


def test_pins_and_places_in_the_user_topic(lake, shared):
    answer = json.loads((shared / "dirty" / "rest-consumer-user-with-a-pin.json").read_text())
    values = [record["value"] for record in answer]
    rows, _ = clean(lake, "user", values)
    assert [row is None for row in rows] == ["first_name" not in value for value in values]
    assert {why[:5] for why, _ in lake.letters("user").values()} == {"a geo", "a pin"}


@pytest.mark.parametrize("table", ["pin", "geo", "user"])
def test_all_real_rows(lake, shared, table):
    values = [json.loads(line) for line in (shared / f"{table}.ndjson").read_text().splitlines()]
    rows, unreadable = clean(lake, table, values)
    assert unreadable == 0 and None not in rows
    key = "index" if table == "pin" else "ind"
    assert [row["ind"] for row in rows] == [value[key] for value in values]
