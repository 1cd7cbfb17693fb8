// The status, once a second, from the gateway. A page that nobody sees does not ask: a browser has six connections
// to a server, for all its tabs together.

import { byId, setText } from "./dom.js";
import { notice, refreshSession } from "./session.js";
import { parse } from "./api.js";

const SILENT_MS = 6000,
  AGAIN_MS = 1000,
  UNSEEN_MS = 5000;
let source = null,
  heard = 0,
  lost = false,
  again = 0,
  unseen = 0;

function say(is, text) {
  byId("link").dataset.is = is;
  setText(byId("link"), text);
}

function hear(event) {
  heard = Date.now();
  if (lost) notice(null);
  lost = false;
  say("live", "live");
  document.dispatchEvent(new CustomEvent("status", { detail: parse(event.data) }));
}

function lose() {
  if (!lost)
    notice("The gateway does not answer. What you see is as it was; the page goes on by itself when it is back.");
  lost = true;
  say("lost", "reconnecting");
}

// An EventSource gives up where it was answered with a status; so it is always made anew.
function close() {
  source?.close();
  source = null;
  clearTimeout(again);
}

function open() {
  close();
  if (document.hidden) return;
  heard = Date.now();
  source = new EventSource("/ui/events");
  source.addEventListener("status", hear);
  source.addEventListener("failed", event => {
    heard = Date.now();
    lost = true;
    notice(parse(event.data).message);
  });
  source.addEventListener("error", () => {
    close();
    lose();
    again = setTimeout(async () => {
      try {
        await refreshSession();
      } catch {
        // it is not back yet
      }
      open();
    }, AGAIN_MS);
  });
}

function watch() {
  if (source && Date.now() - heard > SILENT_MS) {
    lose();
    open();
  }
}

export function followStatus() {
  open();
  setInterval(watch, 1000);
  document.addEventListener("visibilitychange", () => {
    clearTimeout(unseen);
    if (document.hidden) {
      unseen = setTimeout(() => {
        close();
        say("wait", "paused");
      }, UNSEEN_MS);
    } else if (!source) {
      open();
    }
  });
}
