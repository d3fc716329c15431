// JSON whose numbers keep their text: 1.0 and 9007199254740993 are not what JavaScript makes of them.

/** A number that JavaScript would write in another way. */
export class Numeral {
  constructor(text) {
    this.text = text;
  }
}

/** Parse a JSON text. */
export function parse(text) {
  return JSON.parse(text, (_, value, context) =>
    typeof value === "number" && context?.source !== undefined && String(value) !== context.source
      ? new Numeral(context.source)
      : value);
}

/** Return a value as JSON; with an indent, on several lines. */
export function format(value, indent = 0, inner = "") {
  if (value instanceof Numeral) return value.text;
  if (value === null || typeof value !== "object") return JSON.stringify(value) ?? "null";
  const list = Array.isArray(value);
  const items = list
    ? value.map((each) => format(each, indent, inner + " ".repeat(indent)))
    : Object.entries(value).map(([name, each]) =>
        `${JSON.stringify(name)}:${indent ? " " : ""}${format(each, indent, inner + " ".repeat(indent))}`);
  const [open, close] = list ? "[]" : "{}";
  if (!items.length) return open + close;
  if (!indent) return open + items.join(",") + close;
  const line = `\n${inner}${" ".repeat(indent)}`;
  return `${open}${line}${items.join(`,${line}`)}\n${inner}${close}`;
}

/** Return a value on one line for people: strings bare. */
export function preview(value, length = 160) {
  const text = typeof value === "string" ? value.replace(/\s+/g, " ") : format(value);
  return text.length > length ? `${text.slice(0, length)}…` : text;
}

/** Return true if two values have the same JSON. */
export function same(one, other) {
  return format(sorted(one)) === format(sorted(other));
}

function sorted(value) {
  if (value === null || typeof value !== "object" || value instanceof Numeral) return value;
  if (Array.isArray(value)) return value.map(sorted);
  return Object.fromEntries(Object.keys(value).sort().map((name) => [name, sorted(value[name])]));
}
