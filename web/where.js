// Where one record is: its way from the log through the lake into the tables, as `pinpipe where` tells it.

import { el, light, table } from "./dom.js";
import { day, shortened, shown } from "./format.js";
import { get, query } from "./api.js";
import { failed, field } from "./pane.js";

const TEXT_MAX = 4000;
const LOG = {
  there: ["ok", "it is there"],
  gone: ["none", "it has gone out of it"],
  "not yet": ["warn", "it is not there yet"],
  "no record": ["none", "there is no record"],
  "not asked": ["none", "that was not asked"],
};
const LAKE = {
  object: ["ok", "it is in an object"],
  waits: ["warn", "it waits for the sink"],
  letter: ["bad", "it is a dead letter of the sink"],
  passed: ["none", "it has no line"],
  lost: ["bad", "it is lost"],
  "let go": ["none", "it went by retention"],
};
const TABLE = {
  row: ["ok", "it is a row"],
  letter: ["bad", "it is a dead letter"],
  waits: ["warn", "it waits"],
  "another's": ["none", "it is another table's"],
  nowhere: ["bad", "it is nowhere"],
  unknown: ["none", "that is not known"],
};

const text = value => shortened(typeof value === "boolean" ? (value ? "yes" : "no") : shown(value), TEXT_MAX);

// What is known of a step, in lines; what is null does not apply.
function facts(of, names) {
  const known = names.filter(([key]) => of[key] !== null && of[key] !== undefined);

  return known.length === 0
    ? null
    : el(
        "dl",
        { class: "facts" },
        known.map(([key, word]) => [
          el("dt", null, word),
          el("dd", null, key === "timestamp_ms" ? day(new Date(of[key]).toISOString()) : text(of[key])),
        ]),
      );
}

function rowOf(row) {
  const columns = Object.keys(row ?? {});

  return columns.length === 0
    ? null
    : el(
        "details",
        null,
        el("summary", null, "The row"),
        el(
          "div",
          { class: "wide" },
          table(
            "The row",
            [
              { head: "column", cell: key => key },
              { head: "value", cell: key => text(row[key]) },
            ],
            columns,
          ),
        ),
      );
}

function step(head, [is, says], ...more) {
  return el("li", null, el("p", { class: "step" }, light(is), el("b", null, head), `: ${says}`), more);
}

export function journey(found) {
  const log = found.log ?? {},
    lake = found.lake;

  return el(
    "ol",
    { class: "journey", "aria-label": "Where it is" },
    step(
      "Log",
      LOG[log.state] ?? ["none", text(log.state)],
      facts(log, [
        ["timestamp_ms", "posted"],
        ["why", "why"],
      ]),
    ),
    lake
      ? step(
          "Lake",
          LAKE[lake.state] ?? ["none", text(lake.state)],
          facts(lake, [
            ["key", "object"],
            ["line", "line"],
            ["why", "why"],
          ]),
        )
      : null,
    (found.tables ?? []).map(one =>
      step(
        `${one.table}, ${one.path} path`,
        TABLE[one.state] ?? ["none", text(one.state)],
        facts(one, [
          ["version", "since version"],
          ["file", "file"],
          ["letter", "letter"],
          ["why", "why"],
        ]),
        rowOf(one.row),
      ),
    ),
  );
}

export function Where(topics) {
  const topic = el("select", { name: "topic" }),
    partition = el("input", { name: "partition", placeholder: "0 or shardId-…", spellcheck: "false" });
  const position = el("input", {
    name: "position",
    placeholder: "offset or sequence number",
    spellcheck: "false",
    required: true,
  });
  const answer = el("div", { class: "where-answer", role: "status" });
  const form = el(
    "form",
    { class: "row", id: "where-form" },
    field("Topic or stream", topic),
    field("Partition or shard", partition),
    field("Offset or sequence number", position),
    el("button", { type: "submit" }, "Where is it?"),
  );
  const ask = async () => {
    const asked = {
      topic: topic.value,
      partition: partition.value || defaultPartition(),
      position: position.value.trim(),
    };

    answer.replaceChildren(el("p", { class: "dim" }, "looking …"));
    try {
      answer.replaceChildren(journey(await get(`where${query(asked)}`)));
    } catch (error) {
      answer.replaceChildren(failed(error));
    }
  };
  const defaultPartition = () =>
    topics().find(one => one.name === topic.value)?.kind === "stream" ? "shardId-000000000000" : "0";

  form.addEventListener("submit", event => {
    event.preventDefault();
    ask();
  });
  return {
    node: el("section", { class: "part" }, el("h3", null, "Where is this record?"), form, answer),
    topic,
    find(of, at, number) {
      topic.value = of;
      partition.value = at;
      position.value = number;
      answer.parentNode.scrollIntoView({ block: "nearest" });
      ask();
    },
  };
}
