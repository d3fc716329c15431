// The alarms of a stack, each with a line of its recent values.

import {call, url} from "../lib/api.js";
import {h, show, svg} from "../lib/dom.js";
import {format} from "../lib/json.js";
import {ago, badge, block, button, confirm, empty, terms} from "../lib/parts.js";
import {duration} from "../lib/time.js";
import {keyedCards} from "./waiters.js";

const WIDTH = 240, HEIGHT = 48, PAD = 4;

/** Return the points of a line as `x,y` pairs; times become x, values become y. */
export function sparkPoints(line, now = Date.now()) {
  const known = line.filter((point) => typeof point.value === "number");
  if (!known.length) return [];
  const begin = known[0].at, span = Math.max(1, now - begin);
  const values = known.map((point) => point.value);
  const least = Math.min(...values), range = Math.max(...values) - least || 1;
  const x = (at) => PAD + ((at - begin) / span) * (WIDTH - 2 * PAD);
  const y = (value) => HEIGHT - PAD - ((value - least) / range) * (HEIGHT - 2 * PAD);
  const points = [];
  known.forEach((point, index) => {
    if (index) points.push([x(point.at), y(known[index - 1].value)]); // a value lasts until the next
    points.push([x(point.at), y(point.value)]);
  });
  points.push([x(now), y(known.at(-1).value)]);
  return points;
}

function spark(name, line) {
  const points = sparkPoints(line ?? []);
  if (!points.length) return null;
  const last = line.at(-1).value;
  return svg("svg", {viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "spark", role: "img",
    "aria-label": `Recent values of ${name}; the last is ${last}`},
  svg("polyline", {points: points.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(" ")}));
}

/** Show the view. */
export function alarmsView(content, context) {
  const {model, base, allowed} = context;
  const cards = h("div", {class: "cards"});
  const nothing = empty("The stack has no alarms.");
  show(content, nothing, cards);

  function card({alarm, line}) {
    const value = alarm.current?.value ?? alarm.value;
    return [
      h("h2", null, alarm.name, " ", badge(alarm.state)),
      alarm.pending && h("p", null, "Becomes ", badge(alarm.pending), " if the condition lasts."),
      h("p", {class: "reading"}, value === null || value === undefined ? null : h("strong", null, format(value)),
        spark(alarm.name, line)),
      alarm.reason && h("p", null, alarm.reason),
      terms([
        ["Changed", ago(alarm.changed_at)],
        ["Repeated", alarm.repeats || null],
        ["For", alarm.for ? duration(alarm.for) : null],
        ["Quiet", alarm.quiet ? duration(alarm.quiet) : null],
        ["Ignored", alarm.current?.ignored?.join(", ")],
      ]),
      h("details", null, h("summary", null, "Condition"), block(format(alarm.condition, 2), `Condition of ${alarm.name}`)),
      allowed.has("delete_alarm") && button("Delete", () =>
        confirm(`Delete ${alarm.name}?`, "The alarm is not evaluated any more.", "Delete", async () => {
          await call("DELETE", `${base}/${url("alarms", alarm.name)}`);
          model.alarms.delete(alarm.name);
          draw();
        }), {class: "quiet"}),
    ];
  }

  function draw() {
    const found = [...model.alarms.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
    nothing.hidden = found.length > 0;
    keyedCards(cards, found.map((alarm) => ({alarm, line: model.sparks.get(alarm.name)})),
      (each) => each.alarm.name, card);
  }
  draw();
  return {update: (changed) => changed.has("alarms") && draw()};
}
