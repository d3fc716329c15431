// A stack's events, read with fetch so that headers can be sent. No event is lost: a lost connection is
// resumed from the cursor of the last event that was applied.

import {ApiError, refusal, send} from "./api.js";
import {parse} from "./json.js";

const SILENCE_MS = 40_000; // the service sends a ping every 15 seconds
const PAUSE_MS = [500, 10_000];

/** Splits the text of an event stream into frames. */
export class FrameParser {
  #rest = "";
  #frame = {event: "message", data: [], id: undefined, retry: undefined};

  /** Return the frames that a piece of text completes. */
  push(text) {
    const frames = [];
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop();
    for (const raw of lines) {
      const line = raw.endsWith("\r") ? raw.slice(0, -1) : raw;
      if (line === "") {
        const {event, data, id, retry} = this.#frame;
        if (data.length || id !== undefined || retry !== undefined) {
          frames.push({event, id, retry, data: data.join("\n")});
        }
        this.#frame = {event: "message", data: [], id: undefined, retry: undefined};
        continue;
      }
      const at = line.indexOf(":");
      if (at === 0) continue;
      const name = at < 0 ? line : line.slice(0, at);
      const value = at < 0 ? "" : line.slice(line[at + 1] === " " ? at + 2 : at + 1);
      if (name === "data") this.#frame.data.push(value);
      else if (name === "event") this.#frame.event = value;
      else if (name === "id") this.#frame.id = value;
      else if (name === "retry" && /^\d+$/.test(value)) this.#frame.retry = Number(value);
    }
    return frames;
  }
}

/** Return the milliseconds before the next attempt; attempts are counted from 0. */
export function pauseBefore(attempt, random = Math.random()) {
  const [least, most] = PAUSE_MS;
  return Math.min(most, least * 2 ** attempt) * (0.5 + random / 2);
}

/**
 * Follows a stack until it is closed.
 *
 * `reader` has the methods clear(), snapshot(part), synced(cursor), change(event) and
 * state(name, detail), of which the states are connecting, live, lost, ended and missing.
 */
export class Stream {
  cursor = null;
  #closed = false;
  #attempt = 0;
  #abort = null;
  #wake = null;

  constructor(path, reader) {
    this.path = path;
    this.reader = reader;
    this.online = () => this.#wake?.();
    addEventListener("online", this.online);
    this.#run();
  }

  close() {
    this.#closed = true;
    removeEventListener("online", this.online);
    this.#abort?.abort();
    this.#wake?.();
  }

  async #run() {
    while (!this.#closed) {
      let pause = 0;
      try {
        this.reader.state(this.cursor ? "lost" : "connecting");
        pause = await this.#follow();
      } catch (error) {
        if (this.#closed) return;
        if (error instanceof ApiError && [401, 403, 404].includes(error.status)) {
          this.reader.state(error.status === 404 ? "missing" : "ended", error.message);
          return;
        }
        const told = error instanceof ApiError ? error.retryAfter : null;
        pause = told ? told * 1000 : pauseBefore(this.#attempt);
        this.#attempt += 1;
        this.reader.state("lost", error instanceof ApiError ? error.message : "");
      }
      if (this.#closed) return;
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, pause);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  /** Read one connection to its end, and return the milliseconds before the next. */
  async #follow() {
    const abort = (this.#abort = new AbortController());
    let silence;
    const alive = () => {
      clearTimeout(silence);
      silence = setTimeout(() => abort.abort(), SILENCE_MS);
    };
    alive();
    try {
      const headers = {Accept: "text/event-stream"};
      if (this.cursor) headers["Last-Event-ID"] = this.cursor;
      else this.reader.clear();
      const response = await send("GET", this.path, {headers, query: {initial: true}, signal: abort.signal});
      if (!response.ok) throw refusal(response, await response.text());
      if (this.cursor) this.reader.state("live"); // it resumes; the snapshot of a new stream comes first
      const parser = new FrameParser();
      const pieces = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        const {value, done} = await pieces.read();
        if (done) return pauseBefore(this.#attempt++);
        alive();
        for (const frame of parser.push(value)) {
          const retry = this.#take(frame);
          if (retry !== undefined) return retry;
        }
      }
    } finally {
      clearTimeout(silence);
      abort.abort();
    }
  }

  #take(frame) {
    const data = frame.data ? parse(frame.data) : {};
    switch (frame.event) {
      case "snapshot":
        this.reader.snapshot(data);
        break;
      case "change":
        this.reader.change(data);
        break;
      case "reset":
        this.cursor = null;
        this.reader.clear(data.detail);
        break;
      case "goodbye":
        return frame.retry ?? PAUSE_MS[0];
    }
    if (frame.id) {
      this.cursor = frame.id;
      this.#attempt = 0;
      this.reader.synced(this.cursor);
      this.reader.state("live");
    }
    return undefined;
  }
}
