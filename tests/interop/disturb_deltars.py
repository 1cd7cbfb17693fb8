"""Rewrites a table by delta-rs while others write it, by turns in what is asked for.

stdin   {"path": …, "turns": n, "by": ["delete", "update", "compact", "z_order", "vacuum"]}
stdout  {"deleted": [ind, …], "updated": [ind, …], "lost": n, "done": {what: n}}   lost: turns that another writer won
"""
import collections
import json
import sys
import time

import deltalake


def inds(table):
    result = deltalake.QueryBuilder().register("t", table).execute("SELECT ind FROM t WHERE age = 30").read_all()
    return sorted(value for chunk in result.column(0).chunks for value in chunk.to_pylist())


def delete(table, done):
    there = inds(table)
    if there:
        table.delete(f"ind = {there[0]}")
        done["deleted"].append(there[0])


def update(table, done):
    there = inds(table)
    if there:
        table.update({"age": "31"}, predicate=f"ind = {there[-1]}")
        done["updated"].append(there[-1])


TURNS = {"delete": delete, "update": update,
         "compact": lambda table, done: table.optimize.compact(),
         "z_order": lambda table, done: table.optimize.z_order(["ind"]),
         "vacuum": lambda table, done: table.vacuum(dry_run=False)}


def main():
    asked = json.load(sys.stdin)
    done, counts = {"deleted": [], "updated": [], "lost": 0}, collections.Counter()
    for number in range(asked["turns"]):
        what = asked["by"][number % len(asked["by"])]
        try:
            TURNS[what](deltalake.DeltaTable(asked["path"]), done)
            counts[what] += 1
        except deltalake.exceptions.CommitFailedError:
            done["lost"] += 1
        time.sleep(0.02)  # paces the turns, between which the others work
    print(json.dumps(done | {"done": counts}))


main()
