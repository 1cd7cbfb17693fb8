// Each table: what it holds, how it is read elsewhere, its newest rows, its versions.

import { code, copyButton, el, empty, light, table, update } from "./dom.js";
import { ago, bytes, count, day, shortened, shown } from "./format.js";
import { get, name, query } from "./api.js";
import { asker, failed, ticker } from "./pane.js";

const CELL_MAX = 300;
const here = () => new Date().toISOString();

export function rowsTable(caption, rows) {
  const columns = [...new Set(rows.flatMap(row => Object.keys(row)))];

  return el(
    "div",
    { class: "wide", tabindex: "0", role: "region", "aria-label": caption },
    table(
      caption,
      columns.map(column => ({
        head: column,
        class: rows.every(row => row[column] === null || typeof row[column] === "number") ? "n" : "text",
        cell: row =>
          row[column] === null || row[column] === undefined
            ? el("span", { class: "null" }, "NULL")
            : el(
                "span",
                { title: shortened(shown(row[column]), 2000) },
                typeof row[column] === "number" &&
                  Number.isInteger(row[column]) &&
                  !/year|^ind$|index|id$/.test(column)
                  ? count(row[column])
                  : shortened(shown(row[column]), CELL_MAX),
              ),
      })),
      rows,
    ),
  );
}

function overview(list) {
  const columns = [
    { head: "table", cell: row => el("a", { href: `#tables/${name(row.table)}/${name(row.path)}` }, row.table) },
    { head: "path", cell: row => row.path },
    { head: "is", cell: row => [light(row.state === "ok" ? "ok" : "bad"), row.state] },
    { head: "rows", class: "n", cell: row => count(row.rows) },
    { head: "wait", class: "n", cell: row => count(row.waiting) },
    { head: "files", class: "n", cell: row => count(row.files) },
    { head: "size", class: "n", cell: row => bytes(row.bytes) },
    { head: "median file", class: "n", cell: row => bytes(row.median) },
    { head: "versions", class: "n", cell: row => (row.newest === null ? "–" : `${row.oldest}…${row.newest}`) },
    {
      head: "last commit",
      class: "n",
      cell: row => el("span", { title: row.operation ?? "" }, ago(row.committed, here())),
    },
    { head: "compacted", class: "n", cell: row => ago(row.optimized, here()) },
  ];

  return el("div", { class: "wide" }, table("Tables", columns, list, { class: "pick" }));
}

function connection(about) {
  const lines = about.lines ?? [];

  return [
    el("p", null, "It lies at ", el("code", null, about.location), " ", copyButton(about.location, "the location")),
    lines.map(line => [
      el("h4", null, line.tool, line.needs ? el("small", null, ` ${line.needs}`) : null),
      code(line.text, `the lines for ${line.tool}`),
    ]),
  ];
}

function schema(about) {
  return el(
    "div",
    { class: "wide" },
    table(
      "Schema",
      [
        { head: "column", cell: row => row.name },
        { head: "type", cell: row => row.type },
      ],
      about.schema ?? [],
    ),
  );
}

function history(versions) {
  return el(
    "div",
    { class: "wide" },
    table(
      "Versions",
      [
        { head: "version", class: "n", cell: row => count(row.version) },
        { head: "committed", cell: row => day(row.committed) },
        { head: "operation", cell: row => row.operation },
        { head: "rows", class: "n", cell: row => `+${count(row.rows_added)} −${count(row.rows_removed)}` },
        { head: "files", class: "n", cell: row => `+${count(row.files_added)} −${count(row.files_removed)}` },
        { head: "bytes", class: "n", cell: row => bytes(row.bytes_added) },
        { head: "by", cell: row => row.engine ?? "" },
      ],
      versions.slice(0, 50),
    ),
  );
}

// A part is asked for by itself: one that fails says so, and the others stand.
function part(title, ask, show) {
  const body = el("div", null, el("p", { class: "dim" }, "…"));
  const refresh = () =>
    ask().then(
      answer => update(body, el("div", null, show(answer))),
      error => update(body, failed(error)),
    );

  return { node: el("section", { class: "part" }, el("h3", null, title), body), refresh };
}

function detail(table_name, path) {
  const at = `${name(table_name)}${query({ path })}`;
  const about = get(`tables/${at}`);
  const rows = part(
    "Newest rows",
    () => get(`rows/${name(table_name)}${query({ path, limit: 20 })}`),
    newest =>
      newest.length
        ? rowsTable(`Newest rows of ${table_name}`, newest)
        : empty(el("p", null, "No row yet. ", el("a", { href: "#post" }, "Post one"), ".")),
  );
  const versions = part(
    "Versions",
    () => get(`history/${at}`),
    list => (list.length ? history(list) : empty("No version yet.")),
  );
  const reading = part("Read it elsewhere", () => about, connection);
  const columns = part("Schema", () => about, schema);
  let shown = null;

  reading.refresh();
  columns.refresh();
  return {
    nodes: [
      el("h2", { tabindex: "-1" }, table_name, el("small", null, ` ${path} path`)),
      rows.node,
      el("div", { class: "halves" }, reading.node, columns.node),
      versions.node,
    ],
    // Asked again when the table has another version.
    follow(tables) {
      const newest = tables.find(one => one.table === table_name && one.path === path)?.newest;

      if (newest === shown) return;
      shown = newest;
      rows.refresh();
      versions.refresh();
    },
  };
}

const hint = () =>
  el(
    "p",
    { class: "hint" },
    "Choose a table to see its rows, its schema, ",
    "and the lines to read it with pandas, Polars, DuckDB or Spark.",
  );

const none = () =>
  empty(
    el(
      "p",
      null,
      "There is no table yet. ",
      el("code", null, "pinpipe models new clicks <sample.ndjson"),
      " makes a model of a sample, and a model makes tables.",
    ),
  );

export function Tables(root) {
  const list = el("div"),
    one = el("div", { class: "detail" }),
    ask = asker(list);
  let chosen = null,
    now = null;

  root.append(el("h2", { class: "unseen" }, "Tables"), list, one);
  const refresh = () =>
    ask(
      options => get("tables", options),
      tables => {
        update(list, tables.length ? overview(tables) : none());
        for (const row of list.querySelectorAll("tbody tr"))
          row.classList.toggle("chosen", row.querySelector("a").getAttribute("href") === `#tables/${chosen}`);
        now?.follow(tables);
      },
    );
  const ticks = ticker(5, refresh);

  return {
    show([table_name, path = "batch"] = []) {
      const next = table_name ? `${name(table_name)}/${name(path)}` : "";

      if (next !== chosen) {
        now = table_name ? detail(table_name, path) : null;
        one.replaceChildren(...(now ? now.nodes : [hint()]));
      }
      chosen = next;
      refresh();
      ticks.start();
    },
    hide: ticks.stop,
  };
}
