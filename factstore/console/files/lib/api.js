// Requests to the public API. The cookie identifies the user, and only with the console's header.

import {parse} from "./json.js";

const HEADERS = {"Factstore-Console": "1"};
const ROOT = new URL("..", document.baseURI); // so the console also works below a prefix of the path
const WAIT_MS = 70_000;

/** A refusal of the service. */
export class ApiError extends Error {
  constructor(status, entry) {
    super(entry.detail ?? `The service answered ${status}.`);
    this.status = status;
    this.code = (entry.code ?? "").replace(/^[^.]*\./, "");
    this.etag = entry.etag ?? null;
    this.retryAfter = entry.retry_after ?? null;
    this.requestId = entry.request_id ?? "";
  }
}

/** The service could not be reached. */
export class Unreachable extends Error {
  constructor() {
    super("The service cannot be reached. The console tries again.");
    this.status = 0;
  }
}

let signedOut = () => {};
/** Call a function when the session has ended. */
export function onSignedOut(run) {
  signedOut = run;
}

/** Return the URL of a path below the service's root, made of names. */
export function url(...names) {
  return names.map((name) => String(name).split("/").map(encodeURIComponent).join("/")).join("/");
}

/** Send a request and return the response, whatever its status is. */
export async function send(method, path, {body, headers, signal, query} = {}) {
  const target = new URL(path, ROOT);
  for (const [name, value] of Object.entries(query ?? {})) {
    if (value !== undefined && value !== null) target.searchParams.set(name, value);
  }
  const more = body === undefined ? {} : {"Content-Type": "application/json"};
  let response;
  try {
    response = await fetch(target, {
      method,
      body,
      headers: {...HEADERS, Accept: "application/json", ...more, ...headers},
      signal,
      credentials: "same-origin",
      cache: "no-store",
      redirect: "error",
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Unreachable();
  }
  if (response.status === 401 && !path.startsWith("console/")) signedOut();
  return response;
}

/** Send a request and return the document of the answer, null without one; raise refusals. */
export async function call(method, path, options = {}) {
  const signal = options.signal ?? AbortSignal.timeout(WAIT_MS);
  const response = await send(method, path, {...options, signal});
  const text = await response.text();
  if (response.ok) return text ? parse(text) : null;
  throw refusal(response, text);
}

/** Return the refusal in a response. */
export function refusal(response, text) {
  let entry = {};
  try {
    entry = JSON.parse(text).errors[0];
  } catch {
    // a proxy has answered
  }
  const tag = response.headers.get("ETag");
  return new ApiError(response.status, {...entry, etag: entry.etag ?? tag?.replaceAll('"', "")});
}

/** Return all items of a list, page by page. */
export async function list(path, noun, query = {}, signal = undefined) {
  const items = [];
  let page = await call("GET", path, {query: {limit: 1000, ...query}, signal});
  for (;;) {
    items.push(...page[noun]);
    const next = page.links?.find((link) => link.rel === "next")?.href;
    if (!next) return items;
    const given = new URL(next, ROOT).searchParams;
    page = await call("GET", path, {query: Object.fromEntries(given), signal});
  }
}
