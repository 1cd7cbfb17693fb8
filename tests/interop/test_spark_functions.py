"""The functions of the models: what the C of the embedded engine and the SQL of spark/functions.sql make of a text."""

import random
import shutil
import string

import pytest

import conftest
import test_spark
from test_spark import assert_same, made_lake

TEXTS = 5000
MODEL = """-- title: Texts
-- key: id
-- fields: id t
-- columns: id int, t string, i int, l long, c long, d double, b boolean, ts timestamp, one double, two double
SELECT as_int(id) AS id, t, as_int(t) AS i, as_long(t) AS l, as_count(t) AS c, as_double(t) AS d, as_boolean(t) AS b,
	as_timestamp(t) AS ts, first_of(as_pair(as_double(t), 1.5)) AS one, second_of(as_pair(2, as_double(t))) AS two,
	_partition, _offset
FROM raw
"""
NUMBERS = """0 -0 +0 00 7528 7528.0 7528.00 -3 +3 1e3 1E3 1e+3 1e-3 100e-2 1.5e1 1.55e1 1.5e0 .5 5. 5.e1 - + e1 1e 1e+
0x10 1_000 2147483647 2147483648 -2147483648 -2147483649 2147483647.0 2147483647.5 9223372036854775807
9223372036854775808 -9223372036854775808 -9223372036854775809 9223372036854775807.0
92233720368547758.07e2 1e18 1e19 1e20 1e99 1e100 0e99 0e100 99999999999999999999 999999999999999999999
00000000000000000007 000000000000000000007 7528.000000000000000000 7528.0000000000000000000
7528.0000000000000000001 0.000000000000000001e18 1e01 1e001 NaN nan Infinity inf -inf 1d 1f 1L 1.0d 991k
1.5M 1.55k 1.0005k 1.00055k 0k k M 1kk 1k. 1e3k +5k -5k -0k 999999999999999999 9999999999999999999
999999999999999999M 9223372036854775.807k 9223372036854775.808k 1.123456789M 1.1234567890M 0.000001M
1.000000000 1.0000000000 1.5 2.5K 3m 12.0 1.7976931348623157e308 1.7976931348623159e308 1e309 -1e400
4.9e-324 2e-324 1e-400 0.1 0.30000000000000004 123456789012345678 1e22 1e23 9007199254740993 -89.9787
106.966 1234567890.123456789 true TRUE True t T yes Yes y 1 false f NO n 0 on off tru""".split()
TIMES = """2020-08-28 03:52:47|2020-08-28T03:52:47|2020-08-28|2020-8-5 3:2:7|2020-08-28 03:52|2020-08-28 3:5
08/28/2020, 03:52:47|2020:08:28 03:52:47|2020:08:28|2020-08:28|2020:08-28|08/28/2020|08/28/2020,03:52:47
8/28/2020, 03:52:47|08/28/2020, 03:52|2020-08-28 03:52:47.1|2020-08-28 03:52:47.123456
2020-08-28 03:52:47.123456789|2020-08-28 03:52:47.|2020-08-28 03:52.5|2020-08-28 03:52:47Z
2020-08-28 03:52:47 Z|2020-08-28T03:52:47.5Z|2020-08-28 03:52:47UTC|2020-08-28 03:52:47 UTC
2020-08-28 03:52:47 GMT|2020-08-28 03:52:47+1|2020-08-28 03:52:47+01|2020-08-28 03:52:47+1:00
2020-08-28 03:52:47+01:00|2020-08-28 03:52:47+0100|2020-08-28 03:52:47-0530|2020-08-28 03:52:47+100
2020-08-28 03:52:47+05:|2020-08-28 03:52:47+5:3|2020-08-28 03:52:47+18:00|2020-08-28 03:52:47+18:01
2020-08-28 03:52:47-18|2020-08-28 03:52:47+19|2020-08-28 03:52:47+1759|2020-08-28 03:52:47+17:60
2020-08-28 03:52+02|2020-08-28 03:52 +02:00|2020-08-28+01|2020-08-28 Z|2020-08-28Z|2020-08-28
2020-08-28T03|2020-02-29|2021-02-29|1900-02-29|2000-02-29|2020-13-01|2020-00-01|2020-01-00|2020-04-31
0000-01-01|0001-01-01|0001-01-01 00:00:00+01|9999-12-31 23:59:59.999999|9999-12-31 23:59:59-18
10000-01-01|2020-08-28 24:00:00|2020-08-28 23:60:00|2020-08-28 23:59:60|1969-12-31 23:59:59.999999
1582-10-10|1883-11-18 12:03:58| 2020-08-28 |\t2020-08-28 03:52:47\n|2020|2020-08|epoch|now|today|tomorrow
2020-08-28 03:52:47 CET|2020-08-28 03:52:47 Europe/Berlin|2020-08-28 03:52:47[UTC]|2020-08-28t03:52:47
2020-08-28  03:52:47|2020-08-28 03:52:47 AM|1598586767|20200828|2020/08/28 03:52:47|+2020-08-28
-2020-08-28|2020-08-28T|2020-08-28 03|2020-W35-5|2020-08-28T03:52:47+01:00:00|2020-08-28 03:52:47UTC+1
2020-08-28 03:52:47z|12:30|T12:30|\u00a02020-08-28|2020-08-28 03:52:47,5"""
ODD = ["", " ", "1 ", " 1", "1\n", "\n1", "\u0661\u0662", "1\u00a0", "\u22121", "9" * 400,
       "0" * 399 + "1", "0" * 400 + "1",
       "1" + "0" * 308, "0." + "0" * 330 + "1", "a\tb", "'", "\\", "NULL", "null", "\x85",
       "\u2028", "\U0001f600", "1\x0b", "k1"]


def texts():
    """Those above, and each changed a little at random."""
    chance = random.Random(4615)
    found = [*NUMBERS, *TIMES.replace("\n", "|").split("|"), *ODD]
    seeds = list(found)
    while len(found) < TEXTS:
        text = list(chance.choice(seeds))
        for _ in range(chance.randint(1, 3)):
            at = chance.randint(0, len(text))
            change = chance.choice("idc")
            if change == "i" or at == len(text):
                text.insert(at, chance.choice("0123456789" * 3 + "+-.:eEkMTZ /,\t" + string.ascii_letters))
            elif change == "d":
                del text[at]
            else:
                text[at] = chance.choice("0123456789.:-+ ")
        found.append("".join(text))
    return found


@pytest.mark.ci
def test_each_text_is_read_alike(tmp_path):
    models = shutil.copytree(conftest.TOP / "models", tmp_path / "models")
    (models / "clean" / "texts.sql").write_text(MODEL)
    made_lake.put(tmp_path / "raw", "texts", [{"id": i, "t": text} for i, text in enumerate(texts())])
    duck, _ = assert_same(tmp_path / "raw", tmp_path, ["texts"], models)
    read = test_spark.pinpipe("sql", "--dir", duck, "--models", models, "--format", "csv",
                              "SELECT count(i) > 50, count(l) > 50, count(c) > 50, count(d) > 500, count(b) > 10,"
                              " count(ts) > 100 FROM texts")
    assert read.splitlines()[1] == ",".join(["true"] * 6)
