// Elements made of text. What comes from a record, a model or a name is a text node or the value of an attribute
// that cannot do anything; nothing is ever parsed as HTML.

const HARMLESS = new Set([
  "class",
  "id",
  "for",
  "type",
  "title",
  "name",
  "value",
  "placeholder",
  "role",
  "scope",
  "rows",
  "tabindex",
  "spellcheck",
  "autocomplete",
  "download",
  "colspan",
  "open",
  "disabled",
  "hidden",
  "size",
  "list",
  "min",
  "inputmode",
  "d",
  "x",
  "y",
  "x1",
  "x2",
  "y1",
  "y2",
  "cx",
  "cy",
  "r",
  "width",
  "height",
  "viewBox",
  "points",
  "text-anchor",
  "wrap",
  "required",
  "href",
]);
const SVG = new Set(["svg", "path", "g", "line", "circle", "rect", "text", "polyline", "title"]);

function setAttribute(node, name, value) {
  if (value === null || value === undefined || value === false) return;
  if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
  else if (name === "href" && !/^[#/](?!\/)/.test(value)) throw new Error(`"${value}" does not stay here`);
  else if (HARMLESS.has(name) || name.startsWith("aria-") || name.startsWith("data-"))
    node.setAttribute(name, value === true ? "" : String(value));
  else throw new Error(`no attribute for el(): ${name}`);
}

function make(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) setAttribute(node, name, value);
  node.append(...children.flat(9).filter(child => child !== null && child !== undefined && child !== false));
  return node;
}

export function el(tag, attributes, ...children) {
  return make(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes, ...children) {
  if (!SVG.has(tag)) throw new Error(`no element for svg(): ${tag}`);
  return make(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

export const byId = id => document.getElementById(id);

export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// A state that colour, shape and a word tell: ok ●, warn ▲, bad ■, none ○.
export const light = is => el("span", { class: "light", "data-is": is, "aria-hidden": "true" });

const WORST = ["none", "ok", "warn", "bad"];
export const worst = states => WORST[Math.max(0, ...states.map(state => WORST.indexOf(state)))];

export function copyButton(text, what) {
  const button = el("button", { type: "button", class: "copy", "aria-label": `Copy ${what}` }, "Copy");

  button.addEventListener("click", async () => {
    setText(button, (await copy(typeof text === "function" ? text() : text)) ? "Copied" : "Select it by hand");
    setTimeout(() => setText(button, "Copy"), 1500);
  });
  return button;
}

// Over plain HTTP from another machine a browser has no clipboard for a page; then by the old command.
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = el("textarea", { class: "unseen", "aria-hidden": "true" });

    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

export const code = (text, what) =>
  el("div", { class: "code" }, el("pre", { tabindex: "0" }, text), copyButton(text, what));

export const empty = (...children) => el("div", { class: "empty" }, children);

// columns: [{ head, cell(row) -> node or text, class }]
export function table(caption, columns, rows, options = {}) {
  return el(
    "table",
    { class: options.class, id: options.id },
    el("caption", { class: "unseen" }, caption),
    el(
      "thead",
      null,
      el(
        "tr",
        null,
        columns.map(column => el("th", { scope: "col", class: column.class }, column.head)),
      ),
    ),
    el(
      "tbody",
      null,
      rows.map(row =>
        el(
          "tr",
          null,
          columns.map(column => el("td", { class: column.class }, column.cell(row))),
        ),
      ),
    ),
  );
}

// Makes `old` like `fresh` where it differs, so that what has the focus, or is selected, stays.
function morph(old, fresh) {
  if (
    old.nodeType !== fresh.nodeType ||
    old.nodeName !== fresh.nodeName ||
    old.childNodes.length !== fresh.childNodes.length
  ) {
    old.replaceWith(fresh);
    return;
  }
  if (old.nodeType === Node.TEXT_NODE) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return;
  }
  for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  for (const name of old.getAttributeNames())
    if (!fresh.hasAttribute(name) && name !== "open") old.removeAttribute(name); // what was opened stays so
  const children = [...fresh.childNodes];
  [...old.childNodes].forEach((child, at) => morph(child, children[at]));
}

export function update(container, fresh) {
  if (container.childNodes.length === 1) morph(container.firstChild, fresh);
  else container.replaceChildren(fresh);
}
