// One stack as the events describe it: its facts, members, waiters and alarms, and the last events.

const LOG_LENGTH = 2000;
const SPARK_POINTS = 120;

/** A stack's state; listeners are called with the parts that have changed. */
export class Model {
  facts = new Map();
  members = new Map();
  waiters = new Map();
  alarms = new Map();
  log = [];
  received = 0;
  cursor = null;
  state = "connecting";
  detail = "";
  deleted = false;
  sparks = new Map();
  #listeners = new Set();
  #changed = new Set();
  #paths = new Set();
  #notify;

  constructor(schedule) {
    this.#notify = schedule(() => {
      const changed = this.#changed, paths = this.#paths;
      this.#changed = new Set();
      this.#paths = new Set();
      for (const listener of this.#listeners) listener(changed, paths);
    });
  }

  /** Call a function after changes; return a function that ends that. */
  listen(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #mark(...parts) {
    for (const part of parts) this.#changed.add(part);
    this.#notify();
  }

  clear(detail) {
    for (const map of [this.facts, this.members, this.waiters, this.alarms]) map.clear();
    if (detail) this.#record({cursor: "", changes: [{type: "reset", reason: detail}]});
    this.#mark("facts", "tree", "members", "waiters", "alarms", "events");
  }

  snapshot(part) {
    for (const fact of part.facts ?? []) this.facts.set(fact.path, fact);
    for (const member of part.members ?? []) this.members.set(member.name, member);
    for (const waiter of part.waiters ?? []) this.waiters.set(waiter.name, waiter);
    for (const alarm of part.alarms ?? []) this.setAlarm(alarm);
    this.#mark("facts", "tree", "members", "waiters", "alarms");
  }

  synced(cursor) {
    this.cursor = cursor;
  }

  setState(name, detail = "") {
    if (name === this.state && detail === this.detail) return;
    this.state = name;
    this.detail = detail;
    this.#mark("state");
  }

  /** Apply an event. */
  change(event) {
    for (const change of event.changes) this.#apply(change);
    this.#record(event);
    this.#mark("events");
  }

  #apply(change) {
    switch (change.type.split(".")[0]) {
      case "fact":
        this.#paths.add(change.path);
        if (!change.fact || !this.facts.has(change.path)) this.#mark("tree");
        if (change.fact) this.facts.set(change.path, change.fact);
        else this.facts.delete(change.path);
        this.#mark("facts");
        break;
      case "member": {
        const gone = !change.member || change.member.state === "departed" ||
          change.type === "member.expire";
        if (gone) this.members.delete(change.name);
        else this.members.set(change.name, change.member);
        this.#mark("members");
        break;
      }
      case "waiter":
        if (change.type === "waiter.delete") this.waiters.delete(change.name);
        else this.waiters.set(change.name, change.waiter);
        this.#mark("waiters");
        break;
      case "alarm":
        if (change.type === "alarm.delete") this.alarms.delete(change.name);
        else this.setAlarm(change.alarm);
        this.#mark("alarms");
        break;
      case "stack":
        if (change.type === "stack.delete") this.deleted = true;
        this.#mark("stack");
        break;
    }
  }

  #record(event) {
    this.received += 1;
    this.log.push({...event, at: Date.now(), number: this.received});
    if (this.log.length > LOG_LENGTH) this.log.splice(0, this.log.length - LOG_LENGTH);
  }

  /** Replace a waiter that was read. */
  setWaiter(waiter) {
    this.waiters.set(waiter.name, waiter);
    this.#mark("waiters");
  }

  /** Replace the waiters or alarms by those that were read. */
  removeMissing(noun, names) {
    for (const name of this[noun].keys()) if (!names.has(name)) this[noun].delete(name);
    this.#mark(noun);
  }

  /** Replace an alarm, and add its value to its line. */
  setAlarm(alarm) {
    this.alarms.set(alarm.name, alarm);
    const value = alarm.current?.value ?? alarm.value;
    const point = {at: Date.now(), value, state: alarm.state};
    const line = this.sparks.get(alarm.name) ?? [];
    const last = line.at(-1);
    if (!last || last.value !== value || last.state !== alarm.state) line.push(point);
    this.sparks.set(alarm.name, line.slice(-SPARK_POINTS));
    this.#mark("alarms");
  }
}

/** Return the member that a fact belongs to by its path, or null. */
export function ownerOf(path) {
  const [folder, member, ...rest] = path.split("/");
  return ["nodes", "results", "configs"].includes(folder) && member && rest.length ? member : null;
}
