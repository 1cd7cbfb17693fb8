"""A lake that somebody else prepared: what its Delta log and its links point to is not read."""

import json

import pytest

from lake import ID

SECRET = "secret-of-another-directory"


@pytest.fixture
def table(lake):
    """The directory of a table with one row, its data file taken out of the log's way."""
    lake.put("geo", [{"ind": 1, "country": "Fiji"}])
    lake.batch()
    return lake.dir / "lake" / "tables" / f"{ID}_geo_clean"


def refused(lake):
    done = lake.run("sql", "--dir", lake.dir, "--format", "json", "SELECT country FROM geo_all", status=None)
    assert done.returncode != 0 and SECRET not in done.stdout + done.stderr
    return done.stderr


def other_rows(lake, table):
    """The data file of another lake: readable, and nothing that this one may show."""
    other = lake.dir.parent / "other"
    made = type(lake)(lake.run, other)
    made.put("geo", [{"ind": 2, "country": SECRET}])
    made.batch()
    return next((other / "lake" / "tables" / table.name).glob("*.parquet"))


def test_a_symbolic_link_as_a_data_file(lake, table):
    outside, data = other_rows(lake, table), next(table.glob("*.parquet"))
    data.unlink()
    data.symlink_to(outside)
    assert "there is no object" in refused(lake)


def test_a_symbolic_link_as_a_table(lake, table):
    outside = other_rows(lake, table).parent
    table.rename(lake.dir / "moved")
    table.symlink_to(outside)
    shown = lake.run("sql", "--dir", lake.dir, "--format", "json", "SELECT country FROM geo_all", status=None)
    assert SECRET not in shown.stdout


@pytest.mark.parametrize("path", ["{outside}", "file://{outside}", "file:{outside}", "../../../../other/{below}",
                                  "%2E%2E/%2E%2E/%2E%2E/%2E%2E/other/{below}", "*.parquet", "**/*.parquet"])
def test_a_path_that_leads_elsewhere(lake, table, path):
    outside = other_rows(lake, table)
    log = sorted((table / "_delta_log").glob("*.json"))[-1]
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    for line in lines:
        if "add" in line:
            line["add"]["path"] = path.format(outside=outside, below=outside.relative_to(lake.dir.parent / "other"))
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    refused(lake)
