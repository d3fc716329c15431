// The waiters of a stack: their progress, what they miss and what has failed.

import {call, url} from "../lib/api.js";
import {h, redraw, show} from "../lib/dom.js";
import {format} from "../lib/json.js";
import {ago, badge, bar, block, button, confirm, empty, terms} from "../lib/parts.js";
import {duration} from "../lib/time.js";

const NAMES = 12;

/** Return names, of many only the first. */
function names(label, found, kind) {
  if (!found?.length) return null;
  return h("p", {class: kind}, h("strong", null, `${label}: `), found.slice(0, NAMES).join(", "),
    found.length > NAMES && ` and ${found.length - NAMES} more`);
}

const texts = new WeakMap(); // of a card: what it was made of

/** Show a card for each item; equal items are not drawn again. */
export function keyedCards(container, items, key, content) {
  const known = new Map([...container.children].map((each) => [each.dataset.key, each]));
  redraw(container, items.map((item) => {
    const text = JSON.stringify(item, (_, value) => value?.text ?? value);
    const card = known.get(key(item)) ?? h("article", {class: "card", "data-key": key(item)});
    if (texts.get(card) !== text) redraw(card, content(item));
    texts.set(card, text);
    return card;
  }));
}

/** Show the view. */
export function waitersView(content, context) {
  const {model, base, allowed} = context;
  const cards = h("div", {class: "cards"});
  const nothing = empty("The stack has no waiters.");
  show(content, nothing, cards);
  const order = {pending: 0, failed: 1, timed_out: 1, met: 2};

  function card(waiter) {
    const {satisfied, needed} = waiter;
    return [
      h("h2", null, waiter.name, " ", badge(waiter.state)),
      needed !== undefined && h("p", {class: "progress"}, bar(satisfied, needed, `Progress of ${waiter.name}`),
        ` ${satisfied} of ${needed}`),
      waiter.reason && h("p", {class: waiter.state === "met" ? "" : "problem"}, waiter.reason),
      names("Missing", waiter.missing, ""),
      names("Failing", waiter.failing, "problem"),
      terms([
        ["Armed", ago(waiter.armed_at)],
        ["Decided", waiter.decided_at && ago(waiter.decided_at)],
        ["Timeout", `${duration(waiter.timeout)}${waiter.extend_on_progress ? ", again after progress" : ""}`],
      ]),
      h("details", null, h("summary", null, "Conditions"),
        block(format({success: waiter.success, failure: waiter.failure}, 2), `Conditions of ${waiter.name}`)),
      allowed.has("delete_waiter") && button("Delete", () =>
        confirm(`Delete ${waiter.name}?`, "Requests that wait for this waiter are refused.", "Delete", async () => {
          await call("DELETE", `${base}/${url("waiters", waiter.name)}`);
          model.waiters.delete(waiter.name);
          draw();
        }), {class: "quiet"}),
    ];
  }

  function draw() {
    const found = [...model.waiters.values()].sort((a, b) =>
      order[a.state] - order[b.state] || (a.name < b.name ? -1 : 1));
    nothing.hidden = found.length > 0;
    keyedCards(cards, found, (each) => each.name, card);
  }
  draw();
  return {update: (changed) => changed.has("waiters") && draw()};
}
