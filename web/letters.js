// Records that could not go on: how many for which reason, what they look like, and another try.

import { el, empty, setText, svg, table } from "./dom.js";
import { count, day, plural, shortened } from "./format.js";
import { get, name, post, query } from "./api.js";
import { askForKey, may } from "./session.js";
import { asker, sureButton } from "./pane.js";

const REASONS_MAX = 200,
  VALUE_MAX = 2000;

function samples(list) {
  return el(
    "div",
    { class: "wide" },
    table(
      "Letters",
      [
        { head: "written", cell: letter => day(letter.written) },
        {
          head: "place",
          cell: letter => `${letter.partition} · ${letter.offset}${letter.last ? `…${letter.last}` : ""}`,
        },
        { head: "reason", cell: letter => letter.reason },
        {
          head: "value",
          class: "value",
          cell: letter => el("code", { class: "value" }, shortened(letter.value ?? "", VALUE_MAX)),
        },
      ],
      list,
    ),
  );
}

export function Letters(root) {
  const list = el("div"),
    one = el("div", { class: "detail" }),
    said = el("p", { class: "said", role: "status" });
  const ask = asker(list),
    askOne = asker(one);
  const replay = async (row, button) => {
    if (!may("admin")) {
      askForKey("admin");
      return;
    }
    button.disabled = true;
    setText(said, `Trying the letters of ${row.topic} again …`);
    try {
      const [report] = [await post("replay", { topic: row.topic, reason: row.reason })].flat();

      setText(
        said,
        `Tried again: ${
          Object.entries(report ?? {})
            .filter(([, value]) => typeof value !== "object")
            .map(([key, value]) => `${key.replaceAll("_", " ")} ${value}`)
            .join(", ") || "done"
        }`,
      );
      refresh();
    } catch (error) {
      setText(said, error.message);
    } finally {
      button.disabled = false;
    }
  };
  const look = row =>
    askOne(
      options => get(`letters/${name(row.topic)}${query({ reason: row.reason, count: 20 })}`, options),
      letters =>
        one.replaceChildren(
          el("h3", { tabindex: "-1" }, `Samples of ${row.topic}: ${row.reason}`),
          letters.length ? samples(letters) : empty("None any more."),
        ),
    );
  const reasonButton = row => {
    if (row.topic === null) return row.reason; // the sum of what is rarer
    const button = el("button", { type: "button", class: "as-link" }, row.reason);

    button.addEventListener("click", () => look(row));
    return button;
  };
  const overview = rows => {
    const max = Math.max(...rows.map(row => row.letters), 1);

    return el(
      "div",
      { class: "wide" },
      table(
        "Letters by reason",
        [
          { head: "letters", class: "n", cell: row => count(row.letters) },
          {
            head: "",
            class: "share",
            cell: row =>
              svg(
                "svg",
                { class: "bar", width: "100%", height: 10, "aria-hidden": "true" },
                svg("rect", { x: 0, y: 0, height: 10, width: `${(row.letters / max) * 100}%` }),
              ),
          },
          { head: "reason", cell: reasonButton },
          { head: "topic or stream", cell: row => row.topic },
          { head: "found by", cell: row => row.stage },
          {
            head: "",
            cell: row =>
              row.stage === "sink" || row.topic === null
                ? ""
                : sureButton("Replay", `Yes, try ${plural(row.letters, "letter")} again`, button =>
                    replay(row, button),
                  ),
          },
        ],
        rows.slice(0, REASONS_MAX),
      ),
      rows.length > REASONS_MAX
        ? el("p", { class: "dim" }, `${count(rows.length - REASONS_MAX)} rarer reasons are left out.`)
        : null,
    );
  };
  const refresh = () =>
    ask(
      options => get("letters", options),
      rows => {
        rows.sort((a, b) => b.letters - a.letters);
        list.replaceChildren(
          rows.length
            ? el(
                "div",
                null,
                el(
                  "p",
                  { class: "sum" },
                  el("b", null, count(rows.reduce((sum, row) => sum + row.letters, 0))),
                  ` records could not go on, for ${plural(rows.length, "reason")}.`,
                ),
                overview(rows),
              )
            : empty(
                el("p", null, "No letters: every record that was cleaned became a row."),
                el(
                  "p",
                  { class: "dim" },
                  "A record that a model cannot take would stand here with the reason, ",
                  "and could be tried again after the model was mended.",
                ),
              ),
        );
      },
    );

  root.append(el("h2", { class: "unseen" }, "Letters"), list, said, one);
  return { show: () => refresh() };
}
