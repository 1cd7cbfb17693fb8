// The requests to paste: one for each topic and stream, with a record like the newest that it has.

import { code, el, empty } from "./dom.js";
import { plural } from "./format.js";
import { get, getLines, name, query } from "./api.js";
import { needsKey } from "./session.js";
import { asker } from "./pane.js";

const TEXT_MAX = 40,
  FIELDS_MAX = 8,
  TOPICS_MAX = 100,
  SAMPLED = 12;
const SAMPLES = {
  pin: { index: 900001, title: "Dunes", category: "travel" },
  geo: { ind: 900001, country: "Albania" },
  user: { ind: 900001, first_name: "Ann", age: 30 },
};

const NEXT = " \\\n     ";
const kind = topic => topic.name.split(/[.-]/).at(-1);
const parts = topic => plural(topic.partitions ?? 1, topic.kind === "stream" ? "shard" : "partition");
const quoted = text => `'${text.replaceAll("'", "'\\''")}'`;

function small(value) {
  if (value === null || typeof value !== "object" || Array.isArray(value)) return { value };
  return Object.fromEntries(
    Object.entries(value)
      .slice(0, FIELDS_MAX)
      .map(([key, one]) => [key, typeof one === "string" && one.length > TEXT_MAX ? one.slice(0, TEXT_MAX) : one]),
  );
}

// JSON with every control and direction mark escaped: what is pasted is what was seen.
const json = value =>
  JSON.stringify(value).replace(
    /[\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g,
    c => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );

export function curl(topic, value, origin, withKey) {
  const key = withKey ? `${NEXT}-H 'x-api-key: YOUR-KEY'` : "";

  if (topic.kind === "stream")
    return [
      `curl -X PUT -H 'Content-Type: application/json'${key}`,
      `-d ${quoted(json({ StreamName: topic.name, Data: value, PartitionKey: "p" }))}`,
      `${origin}/streams/${encodeURIComponent(topic.name)}/record`,
    ].join(NEXT);
  return [
    `curl -H 'Content-Type: application/vnd.kafka.json.v2+json'${key}`,
    `-d ${quoted(json({ records: [{ value }] }))}`,
    `${origin}/topics/${encodeURIComponent(topic.name)}`,
  ].join(NEXT);
}

// For where nothing is yet.
export const firstCurl = topic =>
  code(
    curl(topic, SAMPLES[kind(topic)] ?? { hello: "world" }, location.origin, needsKey()),
    `a request for ${topic.name}`,
  );

async function sample(topic, asks) {
  if (asks)
    try {
      const [record] = await getLines(`records/${name(topic.name)}${query({ from: -1, count: 1 })}`);

      if (record && record.value !== undefined && record.value !== null) return small(record.value);
    } catch {
      // then one that was thought of
    }
  return SAMPLES[kind(topic)] ?? { hello: "world" };
}

export function Post(root) {
  const list = el("div", { class: "curls" }),
    ask = asker(list);

  root.append(
    el("h2", null, "Post to it"),
    el(
      "p",
      { class: "dim" },
      "Each of these posts a record like the newest one there. A reply of 200 means that it is on disk; ",
      "Records shows it at once, Tables when it is a row.",
    ),
    list,
  );
  return {
    show: () =>
      ask(
        async options => {
          const topics = (await get("topics", options)).slice(0, TOPICS_MAX),
            made = [];

          for (const [at, topic] of topics.entries()) made.push([topic, await sample(topic, at < SAMPLED)]);
          return made;
        },
        made =>
          list.replaceChildren(
            ...(made.length
              ? made.map(([topic, value]) =>
                  el(
                    "section",
                    { class: "part" },
                    el("h3", null, topic.name, el("small", null, ` ${topic.kind}, ${parts(topic)}`)),
                    code(curl(topic, value, location.origin, needsKey()), `the request for ${topic.name}`),
                  ),
                )
              : [
                  empty(
                    el(
                      "p",
                      null,
                      "There is no topic yet: a model makes one. ",
                      el("code", null, "pinpipe models new clicks <sample.ndjson"),
                    ),
                  ),
                ]),
          ),
      ),
  };
}
