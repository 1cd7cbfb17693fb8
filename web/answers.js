// The analyses: each as its model says, and the runs that asked them.

import { code, el, empty, setText, svg, table, update } from "./dom.js";
import { count, day, duration, plural, shown } from "./format.js";
import { get, name, query } from "./api.js";
import { asker, failed, ticker } from "./pane.js";
import { rowsTable } from "./tables.js";

const TOP = 15,
  MANY = 400,
  WIDTH = 640,
  HIGH = 220;

const isNumber = value => typeof value === "number";

// The last column of numbers is what is drawn, the others say what of; of a line the first column is the x.
function split(answer) {
  const columns = answer.columns,
    at = columns.findLastIndex(
      (column, i) =>
        answer.rows.every(row => row[i] === null || isNumber(row[i])) && answer.rows.some(row => isNumber(row[i])),
    );
  const value = at < 0 ? columns.length - 1 : at;

  return { value, labels: columns.map((column, i) => i).filter(i => i !== value) };
}

const labelOf = (row, labels) => labels.map(i => shown(row[i])).join(" · ");

function bars(answer, all) {
  const { value, labels } = split(answer),
    rows = all ? answer.rows.slice(0, MANY) : answer.rows.slice(0, TOP);
  const max = answer.rows.reduce((most, row) => (isNumber(row[value]) ? Math.max(most, row[value]) : most), 1);

  return el(
    "ul",
    {
      class: "bars",
      role: "list",
      "aria-label": `${answer.columns[value]} by ${labels.map(i => answer.columns[i]).join(", ")}`,
    },
    rows.map(row => {
      const drawing = svg(
        "svg",
        { class: "bar", "aria-hidden": "true", width: "100%", height: "100%" },
        svg("rect", {
          x: 0,
          y: 0,
          height: "100%",
          width: `${isNumber(row[value]) ? (Math.max(row[value], 0) / max) * 100 : 0}%`,
        }),
      );

      return el(
        "li",
        null,
        el("span", { class: "bar-label", title: labelOf(row, labels) }, labelOf(row, labels)),
        drawing,
        el("b", null, shown(row[value]) === "NULL" ? "NULL" : count(row[value])),
      );
    }),
  );
}

function line(answer) {
  const { value, labels } = split(answer),
    rows = answer.rows.filter(row => isNumber(row[value]) && row[labels[0] ?? value] !== null).slice(0, MANY);
  const max = Math.max(...rows.map(row => row[value]), 1),
    left = 56,
    bottom = 26,
    top = 12;
  const x = at => left + (rows.length < 2 ? 0.5 : at / (rows.length - 1)) * (WIDTH - left - 30);
  const y = v => top + (1 - v / max) * (HIGH - top - bottom);
  const every = Math.ceil(rows.length / 9);

  return el(
    "div",
    { class: "wide" },
    svg(
      "svg",
      {
        class: "line-chart",
        viewBox: `0 0 ${WIDTH} ${HIGH}`,
        role: "img",
        "aria-label": `${answer.columns[value]} by ${answer.columns[labels[0] ?? value]}`,
      },
      [0, 0.5, 1].map(part => [
        svg("line", { class: "grid", x1: left, x2: WIDTH - 8, y1: y(part * max), y2: y(part * max) }),
        svg("text", { class: "axis", x: left - 8, y: y(part * max) + 4, "text-anchor": "end" }, count(part * max)),
      ]),
      svg("polyline", { class: "line", points: rows.map((row, at) => `${x(at)},${y(row[value])}`).join(" ") }),
      rows.map((row, at) => [
        svg(
          "circle",
          { class: "point", cx: x(at), cy: y(row[value]), r: 3.5 },
          svg("title", null, `${labelOf(row, labels)}: ${count(row[value])}`),
        ),
        at % every === 0
          ? svg(
              "text",
              { class: "axis", x: x(at), y: HIGH - 8, "text-anchor": "middle" },
              shown(row[labels[0] ?? value]).slice(0, 12),
            )
          : null,
      ]),
    ),
  );
}

function drawing(answer, chart, all) {
  if (answer.rows.length === 0)
    return empty(
      el("p", null, "No row answers this yet."),
      el(
        "p",
        null,
        el("a", { href: "#post" }, "Post something"),
        ", or start ",
        el("code", null, "pinpipe up --demo"),
        ", which posts by itself.",
      ),
    );
  if (chart === "line") return line(answer);
  if (chart === "table") return null;
  return bars(answer, all);
}

function asRows(answer, all) {
  return (all ? answer.rows.slice(0, MANY) : answer.rows.slice(0, TOP)).map(row =>
    Object.fromEntries(answer.columns.map((column, at) => [column, row[at]])),
  );
}

function one(model) {
  const body = el("div", null, el("p", { class: "dim" }, "…"));
  const links = ["csv", "json", "parquet"].map(format =>
    el(
      "a",
      { href: `/ui/answers/${name(model.analysis)}${query({ format })}`, download: `${model.analysis}.${format}` },
      format.toUpperCase().replace("PARQUET", "Parquet"),
    ),
  );
  const more = el("button", { type: "button", class: "small", "aria-pressed": "false" }, "Show all");
  let all = false,
    answer = null;
  const draw = () => {
    if (!answer) return;
    more.hidden = answer.rows.length <= TOP;
    more.setAttribute("aria-pressed", String(all));
    setText(more, all ? `Top ${TOP}` : `Show all ${count(answer.rows.length)}`);
    update(
      body,
      el(
        "div",
        null,
        drawing(answer, model.chart, all),
        answer.rows.length
          ? el(
              "details",
              { open: model.chart === "table" ? "" : null },
              el("summary", null, "As a table"),
              rowsTable(model.title ?? model.analysis, asRows(answer, all)),
            )
          : null,
        all && answer.rows.length > MANY
          ? el("p", { class: "dim" }, `The first ${MANY} of ${count(answer.rows.length)}; the files hold all.`)
          : null,
      ),
    );
  };
  const refresh = () => {
    if (model.error) return;
    get(`answers/${name(model.analysis)}${query({ format: "json" })}`)
      .then(reply => {
        answer = reply[model.analysis] ?? Object.values(reply)[0];
        draw();
      })
      .catch(error => update(body, failed(error)));
  };

  more.hidden = true;
  more.addEventListener("click", () => {
    all = !all;
    draw();
  });
  if (model.error) update(body, failed({ message: model.error }));
  refresh();
  const node = el(
    "article",
    { class: "answer" },
    el("h2", { tabindex: "-1" }, model.title || model.analysis),
    el("p", { class: "dim" }, model.description ?? ""),
    el("div", { class: "row" }, more, el("span", { class: "links" }, links)),
    body,
    model.sql
      ? el(
          "details",
          { class: "its-sql" },
          el("summary", null, "Its SQL"),
          model.file ? el("p", { class: "dim" }, model.file) : null,
          code(model.sql, "the SQL"),
        )
      : null,
  );

  return { node, refresh };
}

const OUTCOMES = { done: "ok", failed: "bad", killed: "bad", running: "warn" };

function runsGrid(runs) {
  const max = Math.max(...runs.map(run => run.seconds ?? 0), 0.001);

  return el(
    "ol",
    { class: "runs", "aria-label": "Runs, the newest last" },
    [...runs].reverse().map(run => {
      const is = OUTCOMES[run.outcome] ?? (run.exit > 0 ? "bad" : "none");
      const did = `${run.outcome}, ${duration(run.seconds)}, ${plural(run.rows ?? 0, "row")}, by ${run.by}`;
      const says = [day(run.started), did, run.error].filter(Boolean).join(": ");

      return el(
        "li",
        { "data-is": is, title: says },
        svg(
          "svg",
          { class: "run", width: 14, height: 56, "aria-hidden": "true" },
          svg("rect", {
            x: 2,
            width: 10,
            y: 54 - Math.max(3, ((run.seconds ?? 0) / max) * 50),
            height: Math.max(3, ((run.seconds ?? 0) / max) * 50),
          }),
          is === "bad" ? svg("path", { d: "M3 6l8 8M11 6l-8 8", class: "cross" }) : null,
        ),
        el("span", { class: "unseen" }, says),
      );
    }),
  );
}

function runsTable(runs) {
  return el(
    "div",
    { class: "wide" },
    table(
      "Runs",
      [
        { head: "started", cell: run => day(run.started) },
        { head: "outcome", cell: run => (run.error ? `${run.outcome}: ${run.error}` : run.outcome) },
        { head: "took", class: "n", cell: run => duration(run.seconds) },
        { head: "rows", class: "n", cell: run => count(run.rows) },
        { head: "letters", class: "n", cell: run => count(run.dead) },
        { head: "by", cell: run => run.by },
      ],
      runs.slice(0, 10),
    ),
  );
}

export function Answers(root) {
  const list = el("nav", { class: "list", "aria-label": "Analyses" }),
    body = el("div"),
    runs = el("div", { class: "runs-part" });
  const askList = asker(list),
    askRuns = asker(runs);
  let models = [],
    chosen = null,
    wanted = null,
    now = null,
    newest = null;
  const choose = () => {
    const model = models.find(one => one.analysis === wanted) ?? models[0],
      key = model ? JSON.stringify(model) : null;

    for (const link of list.querySelectorAll("a"))
      link.setAttribute("aria-current", String(link.dataset.name === model?.analysis));
    if (key === chosen) return;
    chosen = key;
    now = model ? one(model) : null;
    body.replaceChildren(
      now
        ? now.node
        : empty(
            el(
              "p",
              null,
              "There is no analysis. Save a SELECT as ",
              el("code", null, "models/analyses/NAME.sql"),
              ", and it appears here.",
            ),
          ),
    );
  };
  const refresh = () => {
    askList(
      options => get("answers", options),
      answer => {
        models = answer;
        update(
          list,
          el(
            "ul",
            { role: "list" },
            models.map(model =>
              el(
                "li",
                null,
                el(
                  "a",
                  { href: `#answers/${name(model.analysis)}`, "data-name": model.analysis },
                  model.error ? "▲ " : "",
                  model.title || model.analysis,
                ),
              ),
            ),
          ),
        );
        choose();
      },
    );
    askRuns(
      options => get(`runs${query({ limit: 50 })}`, options),
      answer => {
        if (newest && newest !== answer[0]?.run) now?.refresh();
        newest = answer[0]?.run ?? null;
        runs.replaceChildren(
          el("h3", null, "Runs"),
          ...(answer.length
            ? [runsGrid(answer), runsTable(answer)]
            : [
                empty(
                  el(
                    "p",
                    null,
                    "No batch has run yet; ",
                    el("b", null, "Run now"),
                    " in ",
                    el("a", { href: "#flow" }, "Flow"),
                    " starts one.",
                  ),
                ),
              ]),
        );
      },
    );
  };
  const ticks = ticker(10, refresh);

  root.append(
    el("h2", { class: "unseen" }, "Answers"),
    el("div", { class: "sides" }, list, el("div", null, body, runs)),
  );
  return {
    show([wantedName] = []) {
      wanted = wantedName ?? wanted;
      refresh();
      ticks.start();
    },
    hide: ticks.stop,
  };
}
