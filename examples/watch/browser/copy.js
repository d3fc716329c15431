// Turns the frames of a stream into a copy of the stack's facts and a line for every change.

export class Copy {
  facts = new Map();
  cursor = null; // up to here the copy is complete; resume from here
  deleted = false;
  #snapshot = null;

  // print is called with each line.
  constructor(print) {
    this.print = print;
  }

  // Begins a connection: discards an incomplete snapshot of the previous one.
  begin() {
    this.#snapshot = this.cursor === null ? [] : null;
  }

  // Processes one frame; data is its JSON text.
  take(event, data) {
    const content = JSON.parse(data);
    if (event === "reset") {
      this.print(`reset: ${content.detail}`);
      this.#snapshot = [];
    } else if (event === "snapshot" && this.#snapshot !== null) {
      this.#snapshot.push(...content.facts);
    } else if (event === "bookmark") {
      this.cursor = content.cursor;
      if (this.#snapshot !== null) { // now it is complete
        this.facts = new Map(this.#snapshot.map((fact) => [fact.path, fact.value]));
        this.#snapshot = null;
        this.print(`${this.cursor} snapshot facts: ${this.facts.size}`);
      }
    } else if (event === "change") {
      this.cursor = content.cursor;
      for (const change of content.changes) {
        this.print([this.cursor, change.type, ...this.#apply(change)].join(" "));
      }
    }
  }

  #apply({ type, path, fact }) {
    if (type === "stack.delete") {
      this.facts.clear();
      this.deleted = true;
      return [];
    }
    if (fact === null) {
      this.facts.delete(path);
      return [path];
    }
    this.facts.set(path, fact.value);
    return [path, JSON.stringify(fact.value)];
  }
}
