// What moves over time, by uPlot: the last five minutes that this page has seen.

import { el, setText, svg } from "./dom.js";

const SECONDS = 300,
  HEIGHT = 120,
  RATE_SAMPLES = 5;
const CHARTS = [
  {
    id: "posted",
    title: "Records a second",
    series: [
      ["posted", "--c1"],
      ["landed", "--c2"],
      ["stream rows", "--c3"],
    ],
    unit: "/s",
  },
  {
    id: "ack",
    title: "Acknowledged within",
    series: [
      ["p50", "--c1"],
      ["p99", "--c2"],
    ],
    unit: "ms",
  },
  {
    id: "lag",
    title: "Records that wait",
    series: [
      ["for the sink", "--c1"],
      ["for batch", "--c2"],
      ["for the stream", "--c3"],
    ],
    unit: "",
  },
  {
    id: "late",
    title: "Late by",
    series: [
      ["lake", "--c1"],
      ["batch tables", "--c2"],
      ["stream tables", "--c3"],
    ],
    unit: "s",
  },
];

let library = null;

function load() {
  library ??= new Promise((done, failed) => {
    const script = document.createElement("script");

    const sheet = document.createElement("link");

    sheet.rel = "stylesheet";
    sheet.href = "/ui/assets/uPlot.min.css";
    script.src = "/ui/assets/uPlot.iife.min.js";
    script.onload = () => done(window.uPlot);
    script.onerror = () => failed(new Error("uPlot is not there"));
    document.head.append(sheet, script);
  });
  return library;
}

const colour = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function shownValue(value, unit) {
  if (value === null || value === undefined) return "–";
  const text = value !== 0 && Math.abs(value) < 10 ? value.toFixed(1) : Math.round(value).toLocaleString("en-US");

  return unit ? `${text} ${unit}` : text;
}

function options(chart, width) {
  const axis = {
    stroke: colour("--dim"),
    grid: { stroke: colour("--line"), width: 1 },
    ticks: { show: false },
    font: "11px system-ui, sans-serif",
  };

  return {
    width,
    height: HEIGHT,
    legend: { show: false },
    padding: [6, 6, 0, 0],
    cursor: { y: false, points: { size: 5 }, drag: { x: false, y: false } },
    scales: { x: { time: true }, y: { range: (u, min, max) => [0, Math.max(max * 1.1, 1)] } },
    axes: [
      {
        ...axis,
        size: 22,
        space: 60,
        values: (u, splits) => splits.map(at => new Date(at * 1000).toTimeString().slice(0, 8)),
      },
      {
        ...axis,
        size: 44,
        space: 28,
        values: (u, splits) => splits.map(at => (at >= 10000 ? `${at / 1000}k` : String(at))),
      },
    ],
    series: [
      {},
      ...chart.series.map(([label, name], at) => ({
        label,
        stroke: colour(name),
        width: 1.75,
        spanGaps: false,
        dash: [undefined, [6, 3], [2, 2]][at],
        points: { show: false },
      })),
    ],
    hooks: { setCursor: [u => chart.say(u.cursor.idx)] },
  };
}

class Chart {
  constructor(chart) {
    Object.assign(this, chart);
    this.data = [[], ...chart.series.map(() => [])];
    this.values = chart.series.map(() => el("b"));
    this.body = el("div", { class: "plot" });
    this.node = el(
      "figure",
      { class: "chart", id: `chart-${chart.id}` },
      el(
        "figcaption",
        null,
        el("span", { class: "chart-title" }, chart.title),
        el(
          "span",
          { class: "legend" },
          chart.series.map(([label], at) =>
            el(
              "span",
              null,
              svg(
                "svg",
                { width: 18, height: 8, class: `key k${at + 1}`, "aria-hidden": "true" },
                svg("line", { x1: 0, x2: 18, y1: 4, y2: 4 }),
              ),
              `${label} `,
              this.values[at],
            ),
          ),
        ),
      ),
      this.body,
    );
  }

  say(at) {
    const last = this.data[0].length - 1;

    this.values.forEach((node, i) => setText(node, shownValue(this.data[i + 1][at ?? last], this.unit)));
  }

  add(time, values) {
    this.data[0].push(time);
    values.forEach((value, at) => this.data[at + 1].push(value));
    while (this.data[0].length > 0 && this.data[0][0] < time - SECONDS) this.data.forEach(list => list.shift());
    this.draw();
  }

  async draw(anew) {
    const uPlot = await load(),
      width = this.body.clientWidth;

    if (width === 0) return;
    if (anew || !this.plot) {
      this.plot?.destroy();
      this.plot = new uPlot(options(this, width), this.data, this.body);
    } else {
      if (this.plot.width !== width) this.plot.setSize({ width, height: HEIGHT });
      this.plot.setData(this.data, false);
    }
    const now = this.data[0].at(-1) ?? 0;
    this.plot.batch(() => this.plot.setScale("x", { min: now - SECONDS, max: now }));
    this.say(this.plot.cursor.idx);
  }
}

const sum = (rows, key) => {
  const known = rows.map(row => row[key]).filter(value => value !== null && value !== undefined);

  return known.length ? known.reduce((a, b) => a + b, 0) : null;
};
const most = (rows, key) => rows.reduce((a, row) => (row[key] === null ? a : Math.max(a ?? 0, row[key])), null);

// Counters of the sums at two moments make a rate; one that fell is of another beginning.
function counters(status) {
  const of = kind => status.rows.filter(row => row.kind === kind);

  return {
    at: Date.parse(status.at) / 1000,
    values: [
      sum([...of("topic"), ...of("stream")], "posted"),
      sum(of("topic"), "records"),
      sum(of("stream table"), "records"),
    ],
  };
}

export function Charts(root) {
  const charts = CHARTS.map(chart => new Chart(chart));
  const window = []; // of counters; a rate is over its length, so that what comes in bursts is a line

  root.append(...charts.map(chart => chart.node));
  new ResizeObserver(() => charts.forEach(chart => chart.draw())).observe(root);
  document.addEventListener("theme", () => charts.forEach(chart => chart.draw(true)));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () =>
    charts.forEach(chart => chart.draw(true)),
  );

  return {
    add(status) {
      const now = counters(status),
        before = window[0],
        passed = before ? now.at - before.at : 0;
      const rates = now.values.map((value, at) =>
        value === null || passed <= 0 || before.values[at] === null || value < before.values[at]
          ? null
          : (value - before.values[at]) / passed,
      );
      const of = kind => status.rows.filter(row => row.kind === kind);

      if (before && now.at <= window.at(-1).at) return null;
      window.push(now);
      if (window.length > RATE_SAMPLES) window.shift();
      charts[0].add(now.at, rates);
      charts[1].add(now.at, [
        status.ack_us.count ? status.ack_us.p50 / 1000 : null,
        status.ack_us.count ? status.ack_us.p99 / 1000 : null,
      ]);
      charts[2].add(now.at, [sum(of("topic"), "lag"), sum(of("batch table"), "lag"), sum(of("stream table"), "lag")]);
      charts[3].add(now.at, [
        most(of("topic"), "late_seconds"),
        most(of("batch table"), "late_seconds"),
        most(of("stream table"), "late_seconds"),
      ]);
      return rates;
    },
  };
}
