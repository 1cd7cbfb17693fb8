// A question in SQL, answered by a child of the gateway: read-only, bounded in time and rows.

import { el, empty, setText } from "./dom.js";
import { duration, plural } from "./format.js";
import { get, postForAnswers } from "./api.js";
import { askForKey, may } from "./session.js";
import { field } from "./pane.js";
import { rowsTable } from "./tables.js";

const ROWS_MAX = 1000,
  MORE = "; there may be more: the page shows the first thousand";
const SIDES = [
  ["auto", "what was acknowledged, of the path with rows"],
  ["both", "both paths, tables"],
  ["batch", "batch, tables"],
  ["stream", "stream, tables"],
  ["batch-live", "batch, with what waits"],
  ["live", "stream, with what waits"],
];

export function Sql(root) {
  const text = el("textarea", {
    id: "sql-text",
    rows: 6,
    spellcheck: "false",
    autocomplete: "off",
    "aria-label": "SQL",
    placeholder: "SELECT category, count(*) AS posts FROM pin GROUP BY ALL ORDER BY posts DESC",
  });
  const from = el(
    "select",
    { name: "from" },
    SIDES.map(([value, says]) => el("option", { value }, `${value}: ${says}`)),
  );
  const run = el("button", { type: "submit", class: "main", id: "sql-run" }, "Run"),
    stop = el("button", { type: "button" }, "Stop");
  const answer = el("div", { id: "sql-answer" }),
    said = el("p", { class: "said", role: "status" }),
    tables = el("p", { class: "chips" });
  const form = el(
    "form",
    { id: "sql-form" },
    text,
    el("div", { class: "row" }, field("From", from), run, stop, el("kbd", null, "Ctrl"), el("kbd", null, "Enter")),
  );
  let abort = null;
  const ask = async () => {
    if (!text.value.trim()) return;
    if (!may("admin")) {
      askForKey("admin");
      return;
    }
    const began = performance.now();
    abort?.abort();
    const mine = (abort = new AbortController());
    stop.hidden = false;
    setText(said, "asking …");
    try {
      const answers = await postForAnswers("sql", { sql: text.value, from: from.value }, { signal: mine.signal });
      const took = duration((performance.now() - began) / 1000),
        rows = answers.reduce((sum, one) => sum + one.length, 0),
        more = answers.some(one => one.length >= ROWS_MAX);

      setText(said, `${plural(rows, "row")} in ${took}${more ? MORE : ""}`);
      answer.replaceChildren(...answers.map(one => (one.length ? rowsTable("Answer", one) : empty("No row."))));
    } catch (error) {
      setText(said, error.name === "AbortError" ? "stopped" : "");
      if (error.name !== "AbortError")
        answer.replaceChildren(el("pre", { class: "error", role: "alert" }, error.message));
    } finally {
      if (mine === abort) stop.hidden = true;
    }
  };

  stop.hidden = true;
  stop.addEventListener("click", () => abort?.abort());
  text.value = sessionStorage.getItem("sql") ?? "";
  text.addEventListener("input", () => sessionStorage.setItem("sql", text.value));
  text.addEventListener("keydown", event => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      ask();
    }
  });
  form.addEventListener("submit", event => {
    event.preventDefault();
    ask();
  });
  root.append(el("h2", { class: "unseen" }, "SQL"), form, tables, said, answer);

  const chip = sql => {
    const button = el("button", { type: "button", class: "chip" }, sql);

    button.addEventListener("click", () => {
      text.value = sql;
      sessionStorage.setItem("sql", sql);
      text.focus();
    });
    return button;
  };
  return {
    show() {
      get("tables").then(
        list =>
          tables.replaceChildren(
            ...[...new Set(list.map(row => row.table))].slice(0, 8).map(table => chip(`FROM ${table} LIMIT 20`)),
            chip("SHOW TABLES"),
          ),
        () => {},
      );
    },
  };
}
