// The page: tabs, session, light and dark, and the status that comes in once a second.

import { byId, setText } from "./dom.js";
import { count, plural } from "./format.js";
import { startSession } from "./session.js";
import { followStatus } from "./events.js";
import { Flow } from "./flow.js";
import { Tables } from "./tables.js";
import { Answers } from "./answers.js";
import { Records } from "./records.js";
import { Letters } from "./letters.js";
import { Sql } from "./sql.js";
import { Post } from "./post.js";

const panes = {
  flow: Flow,
  tables: Tables,
  answers: Answers,
  records: Records,
  letters: Letters,
  sql: Sql,
  post: Post,
};
const commands = {
  flow: "pinpipe status --watch",
  tables: "pinpipe tables",
  answers: "pinpipe analyse",
  records: "pinpipe cat, pinpipe where",
  letters: "pinpipe dlq",
  sql: "pinpipe sql",
  post: "curl",
};
const made = {};
let shown = null;

// A pane is made when it is first looked at, and told when it is looked at and when no more.
function show(name, rest) {
  if (!made[name]) made[name] = panes[name](byId(`pane-${name}`));
  if (shown !== name) {
    if (shown) made[shown].hide?.();
    for (const other of Object.keys(panes)) {
      const tab = byId(`tab-${other}`);

      tab.setAttribute("aria-selected", String(other === name));
      tab.tabIndex = other === name ? 0 : -1;
      byId(`pane-${other}`).hidden = other !== name;
    }
    shown = name;
    setText(byId("as-command"), commands[name]);
  }
  made[name].show?.(rest);
}

function showPlace() {
  const [name, ...rest] = location.hash.slice(1).split("/");

  try {
    show(panes[name] ? name : "flow", rest.map(decodeURIComponent));
  } catch (error) {
    if (!(error instanceof URIError)) throw error;
    location.hash = "#flow";
  }
}

function moveBetweenTabs(event) {
  const tabs = [...document.querySelectorAll("[role=tab]")];
  const at = tabs.indexOf(document.activeElement);
  const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 }[event.key];

  if (at < 0 || to === undefined) return;
  event.preventDefault();
  const tab = tabs[(to + tabs.length) % tabs.length];
  location.hash = `#${tab.id.slice(4)}`;
  tab.focus();
}

function startTheme() {
  const order = ["", "light", "dark"],
    says = { "": "as the system", light: "light", dark: "dark" };
  const button = byId("theme");
  const set = theme => {
    document.documentElement.dataset.theme = theme;
    button.setAttribute("aria-label", `Light or dark: ${says[theme]}`);
    button.title = `Light or dark: ${says[theme]}`;
    document.dispatchEvent(new CustomEvent("theme"));
  };

  set(order.includes(localStorage.getItem("theme")) ? localStorage.getItem("theme") : "");
  button.addEventListener("click", () => {
    const next = order[(order.indexOf(document.documentElement.dataset.theme) + 1) % order.length];

    localStorage.setItem("theme", next);
    set(next);
  });
}

function showVerdict(status) {
  const verdict = byId("verdict");

  verdict.firstElementChild.dataset.is = status.fine ? "ok" : "bad";
  setText(
    byId("verdict-text"),
    status.fine
      ? "fine"
      : status.reasons.length === 1
        ? status.reasons[0]
        : `${count(status.reasons.length)} things are not well`,
  );
  setText(byId("dir"), status.dir);
  document.title = status.fine ? "pinpipe" : `▲ ${plural(status.reasons.length, "thing")} · pinpipe`;
}

export function start() {
  startTheme();
  document.querySelector(".tabs").addEventListener("keydown", moveBetweenTabs);
  for (const tab of document.querySelectorAll("[role=tab]"))
    tab.addEventListener("click", () => {
      location.hash = `#${tab.id.slice(4)}`;
    });
  document.querySelector(".skip").addEventListener("click", event => {
    event.preventDefault();
    byId("main").focus();
  });
  document.addEventListener("status", event => showVerdict(event.detail));
  startSession(() => {
    followStatus();
    window.addEventListener("hashchange", showPlace);
    showPlace();
  });
}

start();
