"""Rewrites a table by delta-rs while others write it: DELETE and UPDATE by turns. (Not OPTIMIZE: docs/operations.md.)

stdin   {"path": …, "turns": n}
stdout  {"deleted": [ind, …], "updated": [ind, …], "lost": n}   lost: turns that another writer won
"""
import json
import sys
import time

import deltalake


def inds(table):
    result = deltalake.QueryBuilder().register("t", table).execute("SELECT ind FROM t WHERE age = 30").read_all()
    return sorted(value for chunk in result.column(0).chunks for value in chunk.to_pylist())


def turn(path, number, done):
    table = deltalake.DeltaTable(path)
    there = inds(table)
    if not there:
        return
    if number % 2:
        table.delete(f"ind = {there[0]}")
        done["deleted"].append(there[0])
    else:
        table.update({"age": "31"}, predicate=f"ind = {there[-1]}")
        done["updated"].append(there[-1])


def main():
    asked = json.load(sys.stdin)
    done = {"deleted": [], "updated": [], "lost": 0}
    for number in range(asked["turns"]):
        try:
            turn(asked["path"], number, done)
        except deltalake.exceptions.CommitFailedError:
            done["lost"] += 1
        time.sleep(0.02)  # paces the turns, between which the others work
    print(json.dumps(done))


main()
