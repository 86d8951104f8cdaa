// @ts-check
// Lists what the two descriptions say. Text goes into the page as text, never as HTML.

/**
 * @param {string} name
 * @param {(Node | string)[]} children
 */
function element(name, ...children) {
  const made = document.createElement(name);
  made.append(...children);
  return made;
}

/** @param {unknown} value */
const json = (value) => element("pre", element("code", JSON.stringify(value, null, 2)));

/**
 * @param {Node | string} title
 * @param {string} says
 * @param {Node[]} inside
 */
function entry(title, says, inside) {
  const summary = element("summary", title, ` ${says}`);
  return element("details", summary, element("div", ...inside));
}

/** @param {any[]} parameters */
function table(parameters) {
  const rows = parameters.map((it) =>
    element(
      "tr",
      element("td", element("code", it.name)),
      element("td", it.in + (it.required ? ", required" : "")),
      element("td", it.description ?? ""),
    ),
  );
  return element("table", ...rows);
}

/**
 * @param {string} method
 * @param {string} path
 * @param {any} operation
 */
function described(method, path, operation) {
  const inside = [];
  if (operation.description) inside.push(element("p", operation.description));
  if (operation.parameters?.length) inside.push(table(operation.parameters));
  const body = operation.requestBody?.content?.["application/json"]?.schema;
  if (body) inside.push(element("p", "Body:"), json(body));
  for (const [status, response] of Object.entries(operation.responses ?? {})) {
    inside.push(element("p", `${status}: ${response.description}`));
  }
  const title = element("code", element("b", method.toUpperCase()), path);
  return entry(title, operation.summary ?? "", inside);
}

/** @param {any} description */
function operations(description) {
  const groups = new Map();
  for (const [path, item] of Object.entries(description.paths)) {
    for (const [method, operation] of Object.entries(item)) {
      const tag = operation.tags?.[0] ?? "more";
      if (!groups.has(tag)) groups.set(tag, []);
      groups.get(tag).push(described(method, path, operation));
    }
  }
  const listed = [...groups].flatMap(([tag, entries]) => [element("h3", tag), ...entries]);
  return [...listed, element("h3", "shapes"), ...shapes(description.components?.schemas)];
}

/** @param {Record<string, any> | undefined} schemas */
const shapes = (schemas) =>
  Object.entries(schemas ?? {}).map(([name, schema]) =>
    entry(element("code", name), schema.description ?? "", [json(schema)]),
  );

/** @param {any} description */
function frames(description) {
  return Object.values(description.operations).flatMap((operation) => {
    const messages = operation.messages.map(({ $ref }) => {
      const name = $ref.split("/").pop();
      const message = description.components.messages[name];
      return entry(element("code", name), message.summary ?? "", [json(message.payload)]);
    });
    return [element("h3", operation.summary), ...messages];
  });
}

/**
 * @param {string} place
 * @param {string} address
 * @param {(description: any) => Node[]} list
 */
async function fill(place, address, list) {
  const where = document.getElementById(place);
  try {
    const answer = await fetch(address);
    if (!answer.ok) throw new Error(String(answer.status));
    where?.replaceChildren(...list(await answer.json()));
  } catch (error) {
    where?.replaceChildren(element("p", `${address} could not be read: ${error}. Reload to try again.`));
  }
}

await Promise.all([
  fill("operations", "/api/v1/docs/openapi.json", operations),
  fill("frames", "/api/v1/docs/asyncapi.json", frames),
]);
