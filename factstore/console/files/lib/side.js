// What a stack's events do not contain: convergence, waits, and the progress of waiters and alarms.
// It is read again after events, and now and then. No request waits, because a browser opens few
// connections to one host.

import {call, refusal, send, url} from "./api.js";
import {settled} from "./dom.js";
import {parse} from "./json.js";

const AFTER_EVENTS_MS = 400;
const BUSY_MS = 2000, QUIET_MS = 10_000;

/** Reads a document of a stack again while it is wanted, and calls a function with each new one. */
export class Side {
  value = null;
  problem = "";
  #etag = null;
  #timer = 0;
  #running = false;
  #again = false;
  #closed = false;

  /** `busy(value)` returns true if the document is likely to change without an event. */
  constructor(path, changed, {busy = () => false} = {}) {
    this.path = path;
    this.changed = changed;
    this.busy = busy;
    this.poke = settled(AFTER_EVENTS_MS, () => this.#read());
    this.#read();
  }

  async #read() {
    if (this.#closed) return;
    if (this.#running) {
      this.#again = true;
      return;
    }
    this.#running = true;
    clearTimeout(this.#timer);
    try {
      const headers = this.#etag ? {"If-None-Match": `"${this.#etag}"`} : {};
      const response = await send("GET", this.path, {headers, signal: AbortSignal.timeout(30_000)});
      if (response.ok) {
        this.value = parse(await response.text());
        this.#etag = response.headers.get("ETag")?.replaceAll('"', "").replace(/^W\//, "") ?? null;
        this.problem = "";
        if (!this.#closed) this.changed(this.value);
      } else if (response.status !== 304) {
        throw refusal(response, await response.text());
      }
    } catch (error) {
      this.problem = error.status === 404 ? "missing" : error.message;
      if (error.status === 404 || error.status === 403) this.value = null;
      if (!this.#closed) this.changed(this.value);
    }
    this.#running = false;
    if (this.#closed) return;
    if (this.#again) {
      this.#again = false;
      this.poke();
    }
    const pause = this.value && this.busy(this.value) ? BUSY_MS : QUIET_MS;
    this.#timer = setTimeout(() => document.hidden ? this.poke() : this.#read(), pause);
  }

  close() {
    this.#closed = true;
    clearTimeout(this.#timer);
  }
}

const MOST_READ = 30;

/** Reads the waiters and alarms of a stack with their progress, and gives them to its model. */
export class Conditions {
  #closed = false;
  #timer;
  #running = false;

  constructor(stack, model) {
    this.stack = stack;
    this.model = model;
    this.poke = settled(AFTER_EVENTS_MS, () => this.#read());
    this.#read();
  }

  async #read() {
    if (this.#running || this.#closed) return;
    this.#running = true;
    clearTimeout(this.#timer);
    try {
      await this.#waiters();
      await this.#alarms();
    } catch {
      // the stream reports what is wrong with the service
    }
    this.#running = false;
    if (!this.#closed) this.#timer = setTimeout(() => this.#read(), BUSY_MS * 2);
  }

  async #waiters() {
    const base = `v1/${url("stacks", this.stack, "waiters")}`;
    const {waiters} = await call("GET", base, {query: {limit: 1000}});
    this.model.removeMissing("waiters", new Set(waiters.map((each) => each.name)));
    const pending = waiters.filter((each) => each.state === "pending" || !this.model.waiters.has(each.name) ||
      this.model.waiters.get(each.name).revision !== each.revision);
    for (const each of pending.slice(0, MOST_READ)) {
      if (this.#closed) return;
      this.model.setWaiter(await call("GET", `${base}/${url(each.name)}`));
    }
  }

  async #alarms() {
    const base = `v1/${url("stacks", this.stack, "alarms")}`;
    const {alarms} = await call("GET", base, {query: {limit: 1000}});
    this.model.removeMissing("alarms", new Set(alarms.map((each) => each.name)));
    for (const each of alarms.slice(0, MOST_READ)) {
      if (this.#closed) return;
      this.model.setAlarm(await call("GET", `${base}/${url(each.name)}`));
    }
  }

  close() {
    this.#closed = true;
    clearTimeout(this.#timer);
  }
}
