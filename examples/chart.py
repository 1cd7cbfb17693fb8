#!/usr/bin/env python3
"""Draws rows as SVG, with nothing but Python: the first column names, the last number counts.

usage: pinpipe analyse NAME --format json | chart.py [bar|line] [TITLE] >chart.svg
       chart.py <pinpipe-data/lake/results/NAME.json >chart.svg

In a notebook: chart.draw(rows, "bar", "title"), which shows itself; rows are dictionaries, in order.
"""

import html
import json
import sys

WIDTH, BAR, LABEL, MARGIN, HEIGHT = 720, 22, 200, 16, 300
COLOUR = "#2563eb"
STYLE = "text{font:13px system-ui,sans-serif;fill:currentColor} .t{font-size:16px;font-weight:600}"


class Chart:
    """A drawing: text, and what a notebook shows."""

    def __init__(self, body, height, title):
        self.svg = (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">'
                    f"<title>{html.escape(title)}</title><style>{STYLE}</style>"
                    f'<text class="t" x="{MARGIN}" y="{MARGIN + 8}">{html.escape(title)}</text>{body}</svg>\n')

    def _repr_svg_(self):
        return self.svg


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def columns(rows):
    """The name of the last column of numbers; those before it name the row."""
    numbers = [name for name in rows[0] if any(is_number(row[name]) for row in rows)]
    if not numbers:
        raise ValueError("no column has numbers")
    return [name for name in rows[0] if name != numbers[-1]], numbers[-1]


def points(rows):
    """(label, number) of each row that has one."""
    names, number = columns(rows)
    return [(", ".join("" if row[name] is None else str(row[name]) for name in names), row[number])
            for row in rows if is_number(row[number])]


def bars(found):
    most = max(max(value for _, value in found), 0) or 1
    room = WIDTH - LABEL - 2 * MARGIN - 60
    for i, (label, value) in enumerate(found):
        y = 2 * MARGIN + 16 + i * BAR
        width = max(value, 0) / most * room
        shown = label if len(label) <= 28 else label[:27] + "…"
        yield (f'<text x="{LABEL}" y="{y + 14}" text-anchor="end">{html.escape(shown)}</text>'
               f'<rect x="{LABEL + 8}" y="{y + 2}" width="{width:.1f}" height="{BAR - 6}" fill="{COLOUR}"/>'
               f'<text x="{LABEL + 14 + width:.1f}" y="{y + 14}">{value:,}</text>')


def line(found):
    most, least = max(value for _, value in found), min(0, *(value for _, value in found))
    step = (WIDTH - 4 * MARGIN) / max(len(found) - 1, 1)
    top, bottom = 3 * MARGIN, HEIGHT - 2 * MARGIN
    places = [(2 * MARGIN + i * step, bottom - (value - least) / ((most - least) or 1) * (bottom - top))
              for i, (_, value) in enumerate(found)]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    yield f'<polyline points="{path}" fill="none" stroke="{COLOUR}" stroke-width="2"/>'
    for (label, value), (x, y) in zip(found, places):
        yield (f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{COLOUR}"/>'
               f'<text x="{x:.1f}" y="{y - 8:.1f}" text-anchor="middle">{value:,}</text>'
               f'<text x="{x:.1f}" y="{HEIGHT - 10}" text-anchor="middle">{html.escape(label)}</text>')


def draw(rows, kind="bar", title=""):
    """A chart of rows; those without a number are left out."""
    found = points(rows) if rows else []
    if not found:
        return Chart(f'<text x="{MARGIN}" y="{4 * MARGIN}">no rows</text>', 5 * MARGIN, title)
    if kind == "line":
        return Chart("".join(line(found)), HEIGHT, title)
    return Chart("".join(bars(found)), 3 * MARGIN + 16 + len(found) * BAR, title)


def rows_of(answer):
    """Of `pinpipe sql`, a list of objects; of `pinpipe analyse` of one analysis; of a file of results/."""
    if isinstance(answer, list):
        return answer
    if "rows" not in answer:
        answer, = answer.values()
    return [dict(zip(answer["columns"], row)) for row in answer["rows"]]


def main():
    words = sys.argv[1:]
    answer = json.load(sys.stdin)
    told = answer if isinstance(answer, dict) else {}
    kind = words[0] if words else told.get("chart") or "bar"
    title = words[1] if len(words) > 1 else told.get("title") or ""
    if kind not in ("bar", "line") or len(words) > 2:
        sys.exit(__doc__)
    sys.stdout.write(draw(rows_of(answer), kind, title).svg)


if __name__ == "__main__":
    main()
