// The turns of a stack: which members hold one, and which wait, queue by queue.

import {call} from "../lib/api.js";
import {h, redraw, show} from "../lib/dom.js";
import {ago, attempt, badge, empty} from "../lib/parts.js";

const REFRESH_MS = 2000;

/** Show the view. */
export function turnsView(content, context) {
  const queues = h("div", {class: "cards"});
  show(content, queues);

  async function load() {
    const {turns} = await call("GET", `${context.base}/turns`);
    const byQueue = group(turns);
    redraw(queues, turns.length ? [...byQueue].map(([queue, found]) => h("section", {class: "card", "data-key": queue},
      h("h2", null, queue, " ", h("span", {class: "small"}, `${found[0].max_parallel} at once`)),
      h("ol", {class: "plain"}, found.map((turn) => h("li", {"data-key": turn.member},
        h("a", {href: context.href("members", turn.member)}, turn.member), " ", badge(turn.state),
        turn.rank !== null && ` rank ${turn.rank}`, " ", ago(turn.created_at)))))) : empty("Nobody waits for a turn."));
  }
  attempt(load);
  const timer = setInterval(() => document.hidden || attempt(load), REFRESH_MS);
  return {close: () => clearInterval(timer)};
}

function group(turns) {
  const found = new Map();
  for (const turn of turns) found.set(turn.queue, [...(found.get(turn.queue) ?? []), turn]);
  return found;
}
