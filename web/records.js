// Records as they come, as they were, and where one of them is.

import { el, empty, setText } from "./dom.js";
import { clock, count, plural, shortened, shown } from "./format.js";
import { get, getLines, name, parse, query } from "./api.js";
import { field } from "./pane.js";
import { firstCurl } from "./post.js";
import { Where } from "./where.js";

const KEPT = 300,
  VALUE_MAX = 600,
  WHOLE_MAX = 100000;

function valueText(record) {
  if (record.value_base64 !== undefined) return `base64: ${record.value_base64}`;
  return typeof record.value === "string" ? record.value : JSON.stringify(record.value);
}

function valueNode(record) {
  const text = valueText(record) ?? "NULL";

  if (text.length <= VALUE_MAX) return el("code", { class: "value" }, text);
  const node = el("code", { class: "value" }, shortened(text, VALUE_MAX));
  const more = el("button", { type: "button", class: "small" }, `all ${count(text.length)} characters`);

  more.addEventListener("click", () => {
    setText(node, shortened(text, WHOLE_MAX));
    more.remove();
  });
  return el("span", null, node, " ", more);
}

const positionOf = record => String(record.offset).replace(/^0+(?=\d)/, "");

function recordRow(record, find) {
  const position = positionOf(record),
    shard = String(record.partition).replace(/^shardId-0*(?=\d)/, "shard ");
  const where = el(
    "button",
    { type: "button", class: "small", "aria-label": `Where is ${record.partition} ${position}?` },
    "where?",
  );

  where.addEventListener("click", () => find(record.topic, String(record.partition), position));
  return el(
    "tr",
    null,
    el("td", { class: "time" }, clock(record.timestamp_ms)),
    el(
      "td",
      { class: "place", title: `${record.partition} ${position}` },
      `${shard} · ${position.length > 20 ? `…${position.slice(-8)}` : position}`,
    ),
    el(
      "td",
      { class: "key" },
      record.key === null || record.key === undefined ? "" : shortened(shown(record.key), 80),
    ),
    el("td", { class: "value" }, valueNode(record)),
    el("td", null, where),
  );
}

class Feed {
  constructor(find) {
    this.find = find;
    this.body = el("tbody");
    this.said = el("p", { class: "said", role: "status" });
    this.node = el(
      "div",
      null,
      this.said,
      el(
        "div",
        { class: "wide feed", tabindex: "0", role: "region", "aria-label": "Records" },
        el(
          "table",
          null,
          el("caption", { class: "unseen" }, "Records"),
          el(
            "thead",
            null,
            el(
              "tr",
              null,
              ["time, UTC", "place", "key", "value", ""].map(head =>
                el("th", { scope: "col" }, head || el("span", { class: "unseen" }, "where")),
              ),
            ),
          ),
          this.body,
        ),
      ),
    );
    this.waiting = [];
  }

  say(text) {
    setText(this.said, text);
  }

  clear() {
    this.waiting = [];
    this.body.replaceChildren();
  }

  // The newest first; so many that a screen can be scrolled through.
  put(records) {
    this.body.prepend(
      ...records
        .toReversed()
        .slice(0, KEPT)
        .map(one => recordRow(one, this.find)),
    );
    while (this.body.childElementCount > KEPT) this.body.lastElementChild.remove();
  }

  // However fast they come, the page is drawn once a frame.
  add(record) {
    this.waiting.push(record);
    if (this.waiting.length > KEPT) this.waiting.shift();
    if (this.waiting.length === 1)
      requestAnimationFrame(() => {
        this.put(this.waiting);
        this.waiting = [];
      });
  }
}

function options(select, list) {
  const chosen = select.value;

  select.replaceChildren(...list.map(one => el("option", { value: one.name }, one.name)));
  if (list.some(one => one.name === chosen)) select.value = chosen;
}

export function Records(root) {
  let topics = [],
    source = null,
    skipped = 0,
    isShown = false,
    wanted = null,
    turn = 0; // of what was asked last; what comes later of an older one is dropped
  const where = Where(() => topics),
    feed = new Feed((...of) => where.find(...of));
  const topic = el("select", { name: "topic", id: "records-topic" }),
    contains = el("input", { name: "contains", placeholder: "any", spellcheck: "false" });
  const from = el("input", {
    name: "from",
    value: "-50",
    spellcheck: "false",
    title: "-50: the last 50; an offset; beginning; @2026-11-27T10:00Z",
    size: 16,
  });
  const tail = el("button", { type: "button", class: "main", id: "tail", "aria-pressed": "false" }, "Follow");
  const form = el(
    "form",
    { class: "row", id: "records-form" },
    field("Topic or stream", topic),
    field("From (-N, offset, @time)", from),
    field("Holds", contains),
    el("button", { type: "submit" }, "Show"),
    tail,
  );
  const first = el("div", { class: "first" });
  const none = empty(el("p", null, "There is no topic yet; ", el("a", { href: "#post" }, "post something"), "."));
  const stop = () => {
    source?.close();
    source = null;
    tail.setAttribute("aria-pressed", "false");
    setText(tail, "Follow");
  };
  const follow = () => {
    stop();
    skipped = 0;
    source = new EventSource(`/ui/tail/${name(topic.value)}${query({ contains: contains.value })}`);
    tail.setAttribute("aria-pressed", "true");
    setText(tail, "Stop");
    feed.say("Live: what is posted appears here.");
    source.addEventListener("record", event => {
      first.replaceChildren();
      if (skipped) feed.say(`Live; ${count(skipped)} came too fast to be shown.`);
      feed.add(parse(event.data));
    });
    source.addEventListener("skipped", event => {
      skipped += parse(event.data).records;
    });
    source.addEventListener("failed", event => {
      stop();
      feed.say(parse(event.data).message);
    });
    source.addEventListener("error", () => {
      if (source?.readyState !== EventSource.CLOSED) {
        feed.say("Interrupted; it goes on as soon as the gateway answers.");
        return;
      }
      stop();
      feed.say("It could not be followed; Follow tries again.");
    });
  };
  const show = async () => {
    const mine = ++turn;

    stop();
    feed.clear();
    try {
      const records = await getLines(
        `records/${name(topic.value)}${query({ from: from.value || "-50", count: 200, contains: contains.value })}`,
      );

      if (mine !== turn) return false;
      feed.put(records);
      feed.say(records.length ? plural(records.length, "record") : "No record there.");
      first.replaceChildren(
        ...(records.length || contains.value
          ? []
          : [
              el("p", { class: "dim" }, "Paste this into a terminal, and it appears here:"),
              firstCurl(topics.find(one => one.name === topic.value)),
            ]),
      );
      return true;
    } catch (error) {
      if (mine === turn) feed.say(error.message);
      return false;
    }
  };
  const showAndFollow = async () => {
    if ((await show()) && isShown) follow();
  };
  const begin = async () => {
    try {
      topics = await get("topics");
    } catch (error) {
      feed.say(error.message);
      return;
    }
    none.hidden = topics.length > 0;
    feed.node.hidden = topics.length === 0;
    options(topic, topics);
    options(where.topic, topics);
    if (wanted && topics.some(one => one.name === wanted)) topic.value = wanted;
    if (topics.length && isShown && !source) showAndFollow();
  };

  root.append(el("h2", { class: "unseen" }, "Records"), form, none, first, feed.node, where.node);
  form.addEventListener("submit", event => {
    event.preventDefault();
    show();
  });
  tail.addEventListener("click", () => {
    if (!source) {
      follow();
      return;
    }
    stop();
    feed.say("Stopped.");
  });
  topic.addEventListener("change", showAndFollow);
  document.addEventListener("visibilitychange", () => {
    if (document.hidden && source) {
      stop();
      feed.say("Stopped while the page was not seen.");
    }
  });
  return {
    show([topic_name] = []) {
      isShown = true;
      wanted = topic_name ?? wanted;
      begin();
    },
    hide() {
      isShown = false;
      turn++;
      stop();
    },
  };
}
