// What the gateway answers. Every failure is an Error whose message is for a person.

class Failed extends Error {
  constructor(status, message, waitSeconds = 0) {
    super(message);
    this.status = status;
    this.waitSeconds = waitSeconds; // before it is asked again
  }

  get mayPass() {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

// Numbers past 2^53 stay what they were, as text.
const exact = (key, value, context) =>
  typeof value === "number" && !Number.isSafeInteger(value) && /^-?\d+$/.test(context?.source ?? "")
    ? context.source
    : value;

export const parse = text => JSON.parse(text, exact);

async function failure(response) {
  let message = `the gateway answered ${response.status}`;

  try {
    message = (await response.json()).message || message;
  } catch {
    // no JSON: it is not the gateway that answers
  }
  if (response.status === 401 || response.status === 403)
    document.dispatchEvent(new CustomEvent("scopes", { detail: { status: response.status, message } }));
  return new Failed(response.status, message, Number(response.headers.get("Retry-After")) || 0);
}

async function ask(path, options) {
  let response;

  try {
    response = await fetch(`/ui/${path}`, { credentials: "same-origin", cache: "no-store", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Failed(0, "the gateway does not answer; is it running?");
  }
  if (!response.ok) throw await failure(response);
  return response;
}

async function textOf(response) {
  try {
    return await response.text();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Failed(0, "the answer was cut off: it is too long, or took too long");
  }
}

export const query = pairs => {
  const text = new URLSearchParams(
    Object.entries(pairs).filter(([, value]) => value !== "" && value !== null && value !== undefined),
  ).toString();

  return text ? `?${text}` : "";
};

export async function get(path, options) {
  return parse(await textOf(await ask(path, options)));
}

// Objects, a line each.
export async function getLines(path, options) {
  const text = await textOf(await ask(path, options));

  return text
    .split("\n")
    .filter(line => line !== "")
    .map(parse);
}

// The text of what is answered.
async function sendForText(method, path, body, options) {
  return textOf(
    await ask(path, {
      method,
      headers: { "Content-Type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
      ...options,
    }),
  );
}

export async function send(method, path, body, options) {
  const text = await sendForText(method, path, body, options);

  return text ? parse(text) : null;
}

// Arrays of rows, one behind the other: an answer for each statement. In a text no line end stands as it is.
export async function postForAnswers(path, body, options) {
  const text = await sendForText("POST", path, body, options);

  return text.split(/(?<=\])\n(?=\[)/).map(parse);
}

export const post = (path, body, options) => send("POST", path, body, options);

export const name = text => encodeURIComponent(text);
