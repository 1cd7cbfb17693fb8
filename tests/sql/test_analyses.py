"""The analyses: which answer which rows give."""

import json
import random

import pytest

NAMES = ["median_follower_count_by_age_group", "median_follower_count_by_age_group_and_joining_year",
         "median_follower_count_by_joining_year", "most_followed_user_by_country",
         "most_popular_category_by_age_group", "most_popular_category_by_country", "most_popular_category_by_year",
         "users_joined_by_year"]


def post(lake, posts, start=0):
    """posts: (ind, {pin's fields}, {geo's}, {user's}), each with what a test does not care about filled in."""
    lake.put("pin", [{"index": ind, "category": "art", "poster_name": "P", "follower_count": "1k", **pin}
                     for ind, pin, _, _ in posts], start)
    lake.put("geo", [{"ind": ind, "country": "Chad", "timestamp": "2020-01-01 00:00:00", "latitude": 1, "longitude": 2,
                      **geo} for ind, _, geo, _ in posts], start)
    lake.put("user", [{"ind": ind, "first_name": "A", "last_name": "B", "age": 30, "date_joined": "2016-05-01 00:00:00",
                       **user} for ind, _, _, user in posts], start)
    lake.batch()


def rows(lake, name):
    return lake.analyse(name)[name]["rows"]


def test_columns(lake):
    post(lake, [(1, {}, {}, {})])
    assert {name: answer["columns"] for name, answer in lake.analyse().items()} == {
        "most_popular_category_by_country": ["country", "category", "category_count"],
        "most_popular_category_by_year": ["post_year", "category", "category_count"],
        "most_followed_user_by_country": ["country", "poster_name", "follower_count"],
        "most_popular_category_by_age_group": ["age_group", "category", "category_count"],
        "median_follower_count_by_age_group": ["age_group", "median_follower_count"],
        "users_joined_by_year": ["year_joined", "number_users_joined"],
        "median_follower_count_by_joining_year": ["year_joined", "median_follower_count"],
        "median_follower_count_by_age_group_and_joining_year": [
            "age_group", "year_joined", "median_follower_count"]}


def test_no_table_yet(lake):
    (lake.dir / "lake").mkdir(parents=True)
    assert {name: answer["rows"] for name, answer in lake.analyse().items()} == {name: [] for name in NAMES}
    assert lake.sql("SELECT * FROM pin") == lake.sql("SELECT * FROM user_all") == []


def test_ties_are_all_kept_and_in_order(lake):
    post(lake, [(1, {"category": "tattoos"}, {}, {}), (2, {"category": "art"}, {}, {}),
                (3, {"category": "beauty"}, {"country": "Fiji"}, {}), (4, {"category": "art"}, {"country": "Fiji"}, {}),
                (5, {"category": "art"}, {"country": "Fiji"}, {})])
    assert rows(lake, "most_popular_category_by_country") == [
        ["Chad", "art", 1], ["Chad", "tattoos", 1], ["Fiji", "art", 2]]


def test_categories_by_year_of_the_post(lake):
    post(lake, [(1, {"category": "art"}, {"timestamp": "2017-12-31 23:59:59"}, {}),
                (2, {"category": "art"}, {"timestamp": "2018-01-01T00:00:00Z"}, {}),
                (3, {"category": "beauty"}, {"timestamp": "2017-12-31T23:30:00-0100"}, {}),
                (4, {"category": "beauty"}, {"timestamp": "2018-05-01 00:00:00"}, {})])
    assert rows(lake, "most_popular_category_by_year") == [[2017, "art", 1], [2018, "beauty", 2]]


def test_most_followed_user(lake):
    post(lake, [(1, {"poster_name": "Low", "follower_count": "9k"}, {}, {}),
                (2, {"poster_name": "Both", "follower_count": "2M"}, {}, {}),
                (3, {"poster_name": "Also", "follower_count": "2M"}, {}, {}),
                (4, {"poster_name": "Both", "follower_count": "1k"}, {}, {}),
                (5, {"poster_name": "User Info Error", "follower_count": "9M"}, {}, {}),
                (6, {"poster_name": "Unknown", "follower_count": None}, {"country": "Fiji"}, {})])
    assert rows(lake, "most_followed_user_by_country") == [["Chad", "Also", 2000000], ["Chad", "Both", 2000000]]


def test_age_groups(lake):
    ages = [17, 24, 25, 35, 36, 50, 51, 99, None]
    post(lake, [(i, {"follower_count": str(i)}, {}, {"age": age}) for i, age in enumerate(ages)])
    assert rows(lake, "most_popular_category_by_age_group") == [
        ["18-24", "art", 2], ["25-35", "art", 2], ["36-50", "art", 2], ["50+", "art", 2]]
    assert rows(lake, "median_follower_count_by_age_group") == [["18-24", 0], ["25-35", 2], ["36-50", 4], ["50+", 6]]


@pytest.mark.parametrize("counts, median", [
    (["5"], 5), (["1", "2"], 1), (["4k", "1", "3"], 3), (["1", "2", "3", "4"], 2), ([None, "User Info Error"], None),
    (["9", None, "7", "many"], 7)])
def test_the_median_is_the_lower_one_and_ignores_nulls(lake, counts, median):
    post(lake, [(i, {"follower_count": count}, {}, {}) for i, count in enumerate(counts)])
    assert rows(lake, "median_follower_count_by_joining_year") == [[2016, median]]
    assert rows(lake, "median_follower_count_by_age_group_and_joining_year") == [["25-35", 2016, median]]


def test_users_joined(lake):
    years = ["2015", "2016", "2016", None, "2017"]
    post(lake, [(i, {}, {}, {"date_joined": year and f"{year}-06-01 00:00:00"}) for i, year in enumerate(years)])
    assert rows(lake, "users_joined_by_year") == [[2015, 1], [2016, 2], [2017, 1], [None, 1]]


@pytest.mark.parametrize("again", [1, 9])  # few of the rows are outdated, most of them are
def test_a_repeated_post_counts_once_and_the_newest_wins(lake, again):
    inds = list(range(12))
    post(lake, [(ind, {"category": "old"}, {"country": "Old"}, {"age": 20}) for ind in inds])
    for time in range(1, again + 1):
        post(lake, [(ind, {"category": f"c{time}"}, {"country": "New"}, {"age": 60}) for ind in inds[:3]], 9 + 3 * time)
    assert [row["n"] for row in lake.sql("SELECT count(*) AS n FROM pin UNION ALL SELECT count(*) FROM pin_all")] \
        == [12, 12 + 3 * again]
    assert rows(lake, "most_popular_category_by_country") == [["New", f"c{again}", 3], ["Old", "old", 9]]
    assert rows(lake, "users_joined_by_year") == [[2016, 12]]


def course_order(count):
    """The rows that CPython's generator draws for the course."""
    draw = random.Random(100)
    for _ in range(count):
        draw.randrange(0, 2)
        yield draw.randint(0, 11000)


def test_the_published_answers(lake, shared):
    for table, key in (("pin", "index"), ("geo", "ind"), ("user", "ind")):
        by_key = {row[key]: row for row in map(json.loads, (shared / f"{table}.ndjson").read_text().splitlines())}
        lake.put(table, [by_key[ind] for ind in course_order(168)])
    lake.batch()
    published = json.loads((shared / "published" / "first-168-posts.json").read_text())["analyses"]
    assert published
    answers = lake.analyse()
    for name, answer in published.items():
        assert sorted(answers[name]["rows"], key=str) == sorted(answer["rows"], key=str), name


def test_an_analysis_is_a_file(lake, models):
    """A new file in models/analyses is on the command line and in the results; a broken one stops no other."""
    (models / "analyses" / "busiest.sql").write_text(
        "-- title: Busiest countries\n-- description: Posts by country,\n--   most first.\n-- chart: bar\n"
        "SELECT country, count(*) AS posts, max(timestamp) AS last, true AS yes, sum(ind) AS total, 0.5 AS half\n"
        "FROM geo GROUP BY country ORDER BY posts DESC;\n")
    (models / "analyses" / "broken.sql").write_text("-- title: Broken\n\nSELECT country,\n  no_such_column\nFROM geo\n")
    lake.put("geo", [{"ind": i, "country": "Fiji", "timestamp": "2020-01-01 00:00:00"} for i in range(3)])
    failed = lake.batch("--models", models, status=1)
    assert f"{models}/analyses/broken.sql:4: " in failed.stderr and "no_such_column" in failed.stderr
    expected = [["Fiji", 3, "2020-01-01 00:00:00", True, 3, 0.5]]
    assert lake.analyse("--models", models, "busiest")["busiest"] == {
        "columns": ["country", "posts", "last", "yes", "total", "half"], "rows": expected}
    results = lake.dir / "lake" / "results"
    written = json.loads((results / "busiest.json").read_text())
    assert written["rows"] == expected
    assert (written["title"], written["description"], written["chart"]) == (
        "Busiest countries", "Posts by country, most first.", "bar")
    assert (results / "busiest.csv").read_bytes() == (
        b"country,posts,last,yes,total,half\r\nFiji,3,2020-01-01 00:00:00,true,3,0.5\r\n")
    assert (results / "busiest.parquet").read_bytes()[:4] == b"PAR1"
    assert not (results / "broken.json").exists()
    (results / "notes.txt").write_text("not ours")
    (models / "analyses" / "broken.sql").unlink()
    (models / "analyses" / "busiest.sql").unlink()
    lake.batch("--models", models)
    assert not list(results.glob("busiest.*"))
    assert {path.stem for path in results.glob("*.*")} == {*NAMES, "notes"}
    assert len(list((results / "runs").iterdir())) == 2


def test_output_formats(lake):
    post(lake, [(1, {"category": 'a "b", c'}, {}, {})])
    word = ("analyse", "--dir", lake.dir, "most_popular_category_by_country", "--format")
    assert lake.run(*word, "csv").stdout == 'country,category,category_count\r\nChad,"a ""b"", c",1\r\n'
    table = lake.run(*word, "table").stdout
    assert "Most popular category in each country" in table and 'a "b", c' in table
    assert "there is no analysis" in lake.run("analyse", "--dir", lake.dir, "nonsense", status=2).stderr
    assert "name it" in lake.run("analyse", "--dir", lake.dir, "--format", "csv", status=2).stderr


@pytest.mark.parametrize("sql, said", [("SELEC 1", "SQL:1:"), ("SELECT\n\n nothing FROM pin", "SQL:3:"), ("", "SQL"),
                                       ("SELECT * FROM raw", "SQL")])
def test_wrong_sql(lake, sql, said):
    (lake.dir / "lake").mkdir(parents=True)
    result = lake.run("sql", "--dir", lake.dir, sql, status=2)
    assert said in result.stderr and result.stdout == ""
