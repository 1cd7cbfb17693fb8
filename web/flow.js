// The README's picture, alive: what runs, what is on each arrow, what is late.

import { byId, el, empty, light, setText, svg, table, update, worst } from "./dom.js";
import { ago, between, bytes, count, duration, micros, plural, rate } from "./format.js";
import { post } from "./api.js";
import { askForKey, may } from "./session.js";
import { Charts } from "./charts.js";

const LIGHTS = ["runs", "fresh", "checked"];
const BOXES = [
  { id: "clients", title: "Clients", lights: [] },
  { id: "gateway", title: "Gateway", lights: LIGHTS },
  { id: "log", title: "Log", lights: LIGHTS },
  { id: "sink", title: "Sink", lights: LIGHTS },
  { id: "lake", title: "Lake", lights: LIGHTS },
  { id: "batch", title: "Batch", lights: LIGHTS },
  { id: "tables", title: "Tables", lights: LIGHTS, note: "batch path" },
  { id: "answers", title: "Answers", lights: LIGHTS },
  { id: "stream", title: "Stream", lights: LIGHTS },
  { id: "live", title: "Tables", lights: LIGHTS, note: "streaming path" },
];
const WIRES = [
  ["clients", "gateway"],
  ["gateway", "log"],
  ["log", "sink"],
  ["sink", "lake"],
  ["lake", "batch"],
  ["batch", "tables"],
  ["tables", "answers"],
  ["log", "stream"],
  ["stream", "live"],
];
const age = (from, to) => duration(between(from, to));
const STATES = { runs: "ok", waits: "ok", starts: "warn", failed: "bad", killed: "bad", ended: "none" };

class Box {
  constructor({ id, title, lights, note }) {
    this.id = id;
    this.head = light("none");
    this.figure = el("p", { class: "figure" }, "–");
    this.unit = el("p", { class: "unit" }, " ");
    this.place = el("p", { class: "place" });
    this.lights = Object.fromEntries(
      lights.map(name => {
        const what = light("none"),
          value = el("span", { class: "value" }, "–"),
          word = el("span", { class: "unseen" }, "");

        return [
          name,
          { what, value, word, node: el("li", null, what, el("span", { class: "word" }, name), word, value) },
        ];
      }),
    );
    this.node = el(
      "article",
      { class: "box", id: `box-${id}`, "aria-label": note ? `${title}, ${note}` : title },
      el("h3", null, lights.length ? this.head : null, title),
      note ? el("p", { class: "note" }, note) : null,
      this.figure,
      this.unit,
      lights.length
        ? el(
            "ul",
            { class: "lights", role: "list" },
            Object.values(this.lights).map(one => one.node),
          )
        : null,
      this.place,
    );
  }

  set(figure, unit, lights = {}, place = "") {
    const words = { ok: "well: ", warn: "look: ", bad: "not well: ", none: "not known: " };

    setText(this.figure, figure);
    setText(this.unit, unit);
    if (this.place.title !== place) {
      // An address is broken before its port, if it must be.
      const parts = place.split(/(?=:\d+$)/).flatMap((part, n) => (n > 0 ? [el("wbr"), part] : [part]));

      this.place.replaceChildren(...parts);
      this.place.title = place;
    }
    for (const [name, [is, value, more]] of Object.entries(lights)) {
      const one = this.lights[name];

      one.what.dataset.is = is;
      setText(one.word, words[is]);
      setText(one.value, value);
      one.value.title = more ?? value;
    }
    this.head.dataset.is = worst(Object.values(lights).map(([is]) => is));
  }
}

class Wire {
  constructor([from, to]) {
    this.from = from;
    this.to = to;
    this.path = svg("path", { class: "wire" });
    this.dots = svg("path", { class: "dots" });
    this.rate = el("b", null, el("span"), " ", el("span"));
    this.lag = el("span", null, el("span"), el("span"));
    this.label = el("p", { class: "wire-label" }, this.rate, this.lag);
  }

  // Between its two parts a text may be broken, and nowhere else.
  put(node, parts) {
    [...node.children].forEach((child, at) => setText(child, parts[at] ?? ""));
  }

  set(perSecond, lag, late) {
    const moves = perSecond > 0;

    this.put(this.rate, Array.isArray(perSecond) ? perSecond : [rate(perSecond)]);
    this.put(
      this.lag,
      lag > 0 ? [`${count(lag)} wait`, late > 0 ? duration(late) : ""] : lag === 0 ? ["none wait"] : [],
    );
    this.dots.classList.toggle("moves", moves);
    this.dots.dataset.speed = perSecond >= 1000 ? "3" : perSecond >= 30 ? "2" : "1";
  }

  place(root, boxes) {
    const origin = root.getBoundingClientRect(),
      a = boxes[this.from].node.getBoundingClientRect(),
      b = boxes[this.to].node.getBoundingClientRect();
    const across = b.left >= a.right;
    const x1 = (across ? a.right : a.left + a.width / 2) - origin.left,
      y1 = (across ? a.top + a.height / 2 : a.bottom) - origin.top;
    const x2 = (across ? b.left : b.left + b.width / 2) - origin.left,
      y2 = (across ? b.top + b.height / 2 : b.top) - origin.top;
    const bend = across
      ? `C${(x1 + x2) / 2} ${y1} ${(x1 + x2) / 2} ${y2} ${x2 - 7} ${y2}`
      : `C${x1} ${(y1 + y2) / 2} ${x2} ${(y1 + y2) / 2} ${x2} ${y2 - 7}`;
    const tip = across
      ? `M${x2 - 8} ${y2 - 4}L${x2} ${y2}L${x2 - 8} ${y2 + 4}`
      : `M${x2 - 4} ${y2 - 8}L${x2} ${y2}L${x2 + 4} ${y2 - 8}`;

    this.path.setAttribute("d", `M${x1} ${y1}${bend}${tip}`);
    this.dots.setAttribute("d", `M${x1} ${y1}${bend}`);
    this.label.dataset.across = String(across);
    this.label.style.left = `${across ? (x1 + x2) / 2 : x2}px`;
    this.label.style.top = `${across ? y1 * 0.3 + y2 * 0.7 : (y1 + y2) / 2}px`;
    this.label.style.maxWidth = across ? `${x2 - x1 - 4}px` : `${Math.min(b.width / 2, origin.width - x2) - 10}px`;
  }
}

const rowsOf = (status, kind) => status.rows.filter(row => row.kind === kind);
const total = (rows, key) => rows.reduce((sum, row) => sum + (row[key] ?? 0), 0);
const latest = (rows, key) =>
  rows.reduce((max, row) => (row[key] && (!max || row[key] > max) ? row[key] : max), null);
const mostLate = rows => rows.reduce((max, row) => Math.max(max, row.late_seconds ?? 0), 0);
const lagOf = rows => (rows.some(row => row.lag !== null) ? total(rows, "lag") : null);

function runsLight(status, role) {
  const process = status.processes.find(one => one.process === role);

  if (!process) return ["none", "not here"];
  if (process.unwell) return ["bad", process.unwell];
  if (process.state === "runs") return ["ok", duration(between(process.began, status.at))];
  if (process.state === "waits") return ["ok", "waits"];
  return [STATES[process.state] ?? "none", process.state];
}

function freshLight(rows, at) {
  const landed = latest(rows, "landed");

  if (rows.length === 0) return ["none", "no rows"];
  if (rows.some(row => row.behind)) return ["bad", `${duration(mostLate(rows))} late`];
  if (rows.every(row => row.lag === null)) return ["none", landed ? age(landed, at) : "–"];
  return ["ok", landed ? age(landed, at) : "waits"];
}

function checkedLight(status, part) {
  const checked = status.checked;

  if (!checked?.at) return ["none", "–", "`pinpipe check` has not been run yet"];
  if (checked.faults[part] > 0)
    return ["bad", plural(checked.faults[part], "fault"), `by \`pinpipe check\` of ${checked.at}`];
  return ["ok", age(checked.at, status.at), `sound, by \`pinpipe check\` of ${checked.at}`];
}

// Where the work is done, by name where it is a service: "Kafka k1:9092; lake s3://b; Spark".
function place(status, part) {
  const words =
    status.processes
      .map(one => one.place)
      .find(Boolean)
      ?.split("; ") ?? [];
  const found = {
    topics: words[0],
    lake: words.find(word => word.startsWith("lake "))?.slice(5),
    engine: words.find(word => word === "Spark"),
    gateway: status.processes.find(one => one.process === "gateway")?.doing.match(/https?:\/\/(\S+)/)?.[1],
  }[part];

  return found?.replace("in --dir", "").replace("log of --dir", "") ?? "";
}

// A rate that is not 0, and is not to look like it.
const some = n => (n < 0.05 ? "a few" : rate(n));

function boxTexts(status, rates) {
  const topics = rowsOf(status, "topic"),
    batch = rowsOf(status, "batch table"),
    live = rowsOf(status, "stream table");
  const a = status.a_second,
    sent = rates ? rates[0] : a.records,
    due = status.processes.find(one => one.process === "batch")?.due;
  const failing =
    a.requests_5xx > 0
      ? ["bad", `${some(a.requests_5xx)} 5xx`]
      : a.requests_4xx > 0
        ? ["warn", `${some(a.requests_4xx)} 4xx`]
        : null;
  const ack = status.ack_us.count ? micros(status.ack_us.p50) : "–";
  const ran = status.batch.last_exit > 0 ? ["bad", `status ${status.batch.last_exit}`] : runsLight(status, "batch");
  const room = status.disk ? `${bytes(status.disk.free_bytes).replace(/\.\d/, "")} free` : "";
  const low = status.disk && status.disk.low;

  return {
    clients: [rate(sent), "records posted"],
    gateway: [
      ack,
      "to acknowledge",
      {
        runs: runsLight(status, "gateway"),
        checked: checkedLight(status, "log"),
        fresh:
          failing ??
          (status.ack_us.count
            ? ["ok", `≤ ${micros(status.ack_us.p99)}`, `99 of 100 within ${micros(status.ack_us.p99)}`]
            : ["none", "idle"]),
      },
      place(status, "gateway"),
    ],
    log: [
      count(total(topics, "posted") + total(rowsOf(status, "stream"), "posted")),
      "records kept",
      {
        runs: runsLight(status, "gateway"),
        fresh: low ? ["bad", room] : room ? ["ok", room] : ["none", "–"],
        checked: checkedLight(status, "log"),
      },
      place(status, "topics"),
    ],
    sink: [
      count(total(topics, "records")),
      "records landed",
      {
        runs: runsLight(status, "sink"),
        fresh: freshLight(topics, status.at),
        checked: checkedLight(status, "batch"),
      },
    ],
    lake: [
      status.store_put_us.count ? micros(status.store_put_us.p50) : "–",
      "for a put",
      {
        runs: runsLight(status, "sink"),
        fresh: freshLight(topics, status.at),
        checked: checkedLight(status, "batch"),
      },
      place(status, "lake"),
    ],
    batch: [
      status.batch.running
        ? "at work"
        : due
          ? duration(Math.max(0, between(status.at, due)))
          : status.batch.last_end
            ? duration(status.batch.last_seconds)
            : "–",
      status.batch.running
        ? "cleans and asks"
        : due
          ? "until the next"
          : status.batch.last_end
            ? "took the last"
            : "has not run",
      { runs: ran, fresh: freshLight(batch, status.at), checked: checkedLight(status, "batch") },
      place(status, "engine"),
    ],
    tables: [
      count(total(batch, "records")),
      plural(batch.length, "table") + ", rows",
      { runs: ran, fresh: freshLight(batch, status.at), checked: checkedLight(status, "batch") },
    ],
    answers: [
      status.batch.last_end ? duration(between(status.batch.last_end, status.at)) : "–",
      "since they were asked",
      {
        runs: ran,
        fresh: status.batch.last_end
          ? [batch.some(row => row.behind) ? "bad" : "ok", age(status.batch.last_end, status.at)]
          : ["none", "not yet"],
        checked: checkedLight(status, "batch"),
      },
    ],
    stream: [
      status.stream_row_age_us.count ? micros(status.stream_row_age_us.p50) : "–",
      "from post to row",
      {
        runs: runsLight(status, "stream"),
        fresh: freshLight(live, status.at),
        checked: checkedLight(status, "stream"),
      },
    ],
    live: [
      count(total(live, "records")),
      plural(live.length, "table") + ", rows",
      {
        runs: runsLight(status, "stream"),
        fresh: freshLight(live, status.at),
        checked: checkedLight(status, "stream"),
      },
    ],
  };
}

function wireTexts(status, rates) {
  const topics = rowsOf(status, "topic"),
    batch = rowsOf(status, "batch table"),
    live = rowsOf(status, "stream table");
  const a = status.a_second,
    newest = latest(live, "landed"),
    cleaned = latest(batch, "landed");
  const [posted, , rows] = rates ?? [a.records, 0, a.stream_rows];

  return {
    "clients gateway": [a.requests, null, 0],
    "gateway log": [posted, null, 0],
    "log sink": [a.landed, lagOf(topics), mostLate(topics)],
    "sink lake": [a.landed, null, 0],
    "lake batch": [status.batch.running ? ["at work"] : [], lagOf(batch), mostLate(batch)],
    "batch tables": [cleaned ? ["newest", `${age(cleaned, status.at)} old`] : [], null, 0],
    "tables answers": [status.batch.last_end ? [`in ${duration(status.batch.last_seconds)}`] : [], null, 0],
    "log stream": [rows ?? a.stream_rows, lagOf(live), mostLate(live)],
    "stream live": [newest ? ["newest row", `${age(newest, status.at)} old`] : [], null, 0],
  };
}

function runNow(say) {
  const button = el("button", { type: "button", class: "small", id: "run-now" }, "Run now");

  button.addEventListener("click", async () => {
    if (!may("admin")) {
      askForKey("admin");
      return;
    }
    button.disabled = true;
    say("The batch is at work …");
    try {
      const report = await post("run", {});
      const tables = Object.values(report?.tables ?? {});

      const made = `${plural(total(tables, "rows"), "row")}, ${plural(total(tables, "dead"), "letter")}`;

      say(`Batch ${report?.outcome ?? "done"}: ${made}, ${duration((report?.ms ?? 0) / 1000)}`);
    } catch (error) {
      say(error.message);
    } finally {
      button.disabled = false;
    }
  });
  return button;
}

function showProcesses(status) {
  const tooled = [
    { head: "process", cell: row => el("b", null, row.process) },
    {
      head: "is",
      cell: row => el("span", null, light(row.unwell ? "bad" : (STATES[row.state] ?? "none")), row.state),
    },
    {
      head: "for",
      class: "n",
      cell: row => duration(between(row.state === "runs" ? row.began : row.ended, status.at)),
    },
    { head: "restarts", class: "n", cell: row => count(row.restarts) },
    {
      head: "does",
      cell: row =>
        [
          row.due ? `next in ${duration(Math.max(0, between(status.at, row.due)))}` : "",
          row.process === "batch" && status.batch.last_end
            ? `the last took ${duration(status.batch.last_seconds)}`
            : "",
          row.unwell || row.doing,
        ]
          .filter(Boolean)
          .join("; "),
    },
  ];

  update(
    byId("processes"),
    status.processes.length
      ? table("Processes", tooled, status.processes)
      : empty(el("p", null, "Nothing runs on this directory. ", el("code", null, "pinpipe up"), " runs all of it.")),
  );
}

function showRows(status) {
  const columns = [
    { head: "name", cell: row => row.name },
    { head: "is a", cell: row => row.kind },
    { head: "posted", class: "n", cell: row => count(row.posted) },
    { head: "there", class: "n", cell: row => count(row.records) },
    {
      head: "letters",
      class: "n",
      cell: row => (row.letters > 0 ? el("a", { href: "#letters" }, count(row.letters)) : count(row.letters)),
    },
    { head: "lacks", class: "n", cell: row => count(row.lag) },
    {
      head: "late",
      class: "n",
      cell: row =>
        el("span", null, row.behind ? light("bad") : null, row.lag === 0 ? "has all" : duration(row.late_seconds)),
    },
    { head: "landed", class: "n", cell: row => ago(row.landed, status.at) },
  ];

  update(
    byId("rows"),
    status.rows.length
      ? table("Topics, streams and tables", columns, status.rows)
      : empty(
          el(
            "p",
            null,
            "Nothing was posted yet. ",
            el("a", { href: "#post" }, "Post something"),
            ": the requests to paste are there.",
          ),
        ),
  );
}

export function Flow() {
  const root = byId("flow"),
    boxes = Object.fromEntries(BOXES.map(box => [box.id, new Box(box)])),
    wires = WIRES.map(wire => new Wire(wire));
  const drawing = svg(
    "svg",
    { class: "wires", "aria-hidden": "true" },
    wires.flatMap(wire => [wire.path, wire.dots]),
  );
  const said = el("p", { class: "said", role: "status" });
  const charts = Charts(byId("charts"));
  let last = null,
    isShown = true;

  boxes.batch.node.append(runNow(text => setText(said, text)));
  root.append(drawing, ...Object.values(boxes).map(box => box.node), ...wires.map(wire => wire.label));
  root.after(said);
  const place = () => wires.forEach(wire => wire.place(root, boxes));
  new ResizeObserver(place).observe(root);

  const draw = (status, rates) => {
    for (const [id, texts] of Object.entries(boxTexts(status, rates))) boxes[id].set(...texts);
    const texts = wireTexts(status, rates);
    for (const wire of wires) wire.set(...texts[`${wire.from} ${wire.to}`]);
    byId("reasons").hidden = status.fine;
    byId("reasons").replaceChildren(...status.reasons.map(reason => el("li", null, light("bad"), reason)));
    showProcesses(status);
    showRows(status);
    place();
  };
  document.addEventListener("status", event => {
    const rates = charts.add(event.detail);

    last = [event.detail, rates];
    if (isShown) draw(...last);
  });
  return {
    show() {
      isShown = true;
      if (last) draw(...last);
    },
    hide() {
      isShown = false;
    },
  };
}
