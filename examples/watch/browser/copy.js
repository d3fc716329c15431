// What the frames of a stream mean: a copy of a stack's facts, and a line for every change.

export class Copy {
  facts = new Map();
  cursor = null; // up to where the copy is complete; where to resume
  deleted = false;
  #snapshot = null;

  // tell is called with each line.
  constructor(tell) {
    this.tell = tell;
  }

  // A connection was made. What came of a snapshot before it broke is void.
  begin() {
    this.#snapshot = this.cursor === null ? [] : null;
  }

  // One frame; data is its JSON text.
  take(event, data) {
    const content = JSON.parse(data);
    if (event === "reset") {
      this.tell(`reset: ${content.detail}`);
      this.#snapshot = [];
    } else if (event === "snapshot" && this.#snapshot !== null) {
      this.#snapshot.push(...content.facts);
    } else if (event === "bookmark") {
      this.cursor = content.cursor;
      if (this.#snapshot !== null) { // only now is it whole
        this.facts = new Map(this.#snapshot.map((fact) => [fact.path, fact.value]));
        this.#snapshot = null;
        this.tell(`${this.cursor} snapshot ${this.facts.size} facts`);
      }
    } else if (event === "change") {
      this.cursor = content.cursor;
      for (const change of content.changes) {
        this.tell([this.cursor, change.type, ...this.#apply(change)].join(" "));
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
