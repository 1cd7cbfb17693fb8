// Who looks: the session cookie is the gateway's business, here is only what it allows.

import { byId, setText } from "./dom.js";
import { get, post, send } from "./api.js";

const session = { scopes: [], needs_key: false };
let begin = null,
  begun = false,
  wanted = "admin"; // by who asked for a key

export const may = scope => session.scopes.includes(scope);
export const needsKey = () => session.needs_key;

function take(answer) {
  Object.assign(session, answer);
  setText(byId("id"), session.id ?? "");
  setText(byId("version"), session.version ? `pinpipe ${session.version}` : "");
  byId("key-button").hidden = may("admin");
  byId("logout").hidden = session.needs_key ? session.scopes.length === 0 : !may("admin");
  document.documentElement.dataset.admin = String(may("admin"));
  document.dispatchEvent(new CustomEvent("session"));
  if (may("read") && !begun) {
    begun = true;
    queueMicrotask(begin);
  }
}

const WHY = {
  read:
    "This gateway wants a key before it shows anything. " +
    "The key is sent once and not kept by the page; what stays is a session of 12 hours.",
  admin:
    "Running a batch, replaying letters and SQL want a key of scope admin, " +
    "or the token at the end of the address that `pinpipe up` printed (…/#token=…).",
};

export function askForKey(scope) {
  const dialog = byId("key-dialog");

  if (dialog.open) return; // and perhaps half a key is typed
  wanted = scope;
  setText(byId("key-why"), WHY[scope] ?? WHY.admin);
  setText(byId("key-error"), "");
  byId("key-cancel").hidden = scope === "read";
  dialog.showModal();
  byId("key-input").focus();
}

async function logIn(key) {
  const answer = await post("session", { key });

  take(answer);
  return answer;
}

async function submitKey(event) {
  event.preventDefault();
  const input = byId("key-input");

  try {
    await logIn(input.value.trim());
    if (!may(wanted)) throw new Error(`That key has no scope ${wanted}.`);
    input.value = "";
    byId("key-dialog").close();
  } catch (error) {
    setText(byId("key-error"), error.status === 401 ? "That key is not known here." : error.message);
    input.select();
  }
}

async function logOut() {
  try {
    await send("DELETE", "session");
  } finally {
    location.reload();
  }
}

// The token stands behind the #, which no server and no log sees; nor shall the history or a screenshot.
async function takeToken() {
  const match = location.hash.match(/^#token=([^&]*)/);

  if (!match) return;
  history.replaceState(null, "", location.pathname + location.search + "#flow");
  try {
    await logIn(decodeURIComponent(match[1]));
  } catch (error) {
    if (error.status !== 401) throw error;
    notice("That token is not, or no longer, known here. `pinpipe up` prints today's.");
  }
}

export function notice(text) {
  setText(byId("notice"), text ?? "");
  byId("notice").hidden = !text;
}

export async function refreshSession() {
  take(await get("session"));
  if (!may("read")) askForKey("read");
}

async function tryToStart() {
  try {
    await takeToken();
    await refreshSession();
    notice(null);
  } catch (error) {
    notice(`${error.message} Trying again.`);
    setTimeout(tryToStart, 1000);
  }
}

export function startSession(whenReadable) {
  begin = whenReadable;
  byId("key-form").addEventListener("submit", submitKey);
  byId("key-cancel").addEventListener("click", () => byId("key-dialog").close());
  byId("key-dialog").addEventListener("cancel", event => {
    if (!may("read")) event.preventDefault();
  });
  byId("key-button").addEventListener("click", () => askForKey("admin"));
  byId("logout").addEventListener("click", logOut);
  document.addEventListener("scopes", event => {
    if (event.detail.status === 401) refreshSession().catch(() => {});
  });
  tryToStart();
}
