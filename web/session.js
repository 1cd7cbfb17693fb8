// Who looks: the session cookie is the gateway's business, here is only what it allows.

import { byId, setText } from "./dom.js";
import { get, post, send } from "./api.js";

const session = { scopes: [], needs_key: false };
let begin = null,
  begun = false,
  wanted = "admin", // by who asked for a key
  token = null, // of the address, until it is taken
  refused = null;

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
    if (refused) notice((refused = null));
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
function findToken() {
  const match = location.hash.match(/^#token=([^&]*)/);

  if (!match) return;
  history.replaceState(null, "", location.pathname + location.search + "#flow");
  token = match[1];
}

// An error that may pass leaves it for another try.
async function takeToken() {
  if (token === null) return;
  try {
    await logIn(decodeURIComponent(token));
  } catch (error) {
    if (error.mayPass) throw error;
    token = null;
    refused =
      error.status === 401
        ? "That token is not, or no longer, known here. `pinpipe up` prints today's."
        : `The token was not taken: ${error.message}`;
    return;
  }
  token = null;
}

export function notice(text) {
  setText(byId("notice"), text ?? "");
  byId("notice").hidden = !text;
}

export async function refreshSession() {
  take(await get("session"));
  if (!may("read")) askForKey("read");
}

// What there is to see without the token is shown while that waits.
async function tryToStart() {
  let late = null;

  for (const step of [takeToken, refreshSession])
    try {
      await step();
    } catch (error) {
      late ??= error;
    }
  notice(late ? `${late.message} Trying again.` : refused);
  if (late) setTimeout(tryToStart, 1000 * (late.waitSeconds || 1));
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
  findToken();
  tryToStart();
}
