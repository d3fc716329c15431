// The actions of a stack: how many members have run each, and with what result.

import {call, list, url} from "../lib/api.js";
import {h, show} from "../lib/dom.js";
import {ago, attempt, badge, bar, block, button, confirm, dialog, empty, kindOf, terms} from "../lib/parts.js";
import {duration} from "../lib/time.js";
import {keyedCards} from "./waiters.js";

const REFRESH_MS = 2000;
const ENDED = ["complete", "failed", "lost", "cancelled", "timed_out"];

/** Show the view. */
export function actionsView(content, context) {
  const {base, allowed} = context;
  const cards = h("div", {class: "cards"});
  const nothing = empty("The stack has no actions. Start one with: openstack fact action run");
  show(content, nothing, cards);
  let opened = "";

  async function results(action) {
    const found = await attempt(() =>
      list(`${base}/${url("actions", action.id, "results")}`, "results", {limit: 100}));
    if (!found) return;
    dialog(`Results of ${action.hook}`, (close) => [
      h("div", {class: "results"}, found.map((each) => h("details", null,
        h("summary", null, each.member, " ", badge(each.state), " ", each.reason || each.message),
        terms([["Status", each.status_code], ["Started", each.started_at && ago(each.started_at)],
          ["Ended", each.ended_at && ago(each.ended_at)]]),
        each.stdout && block(each.stdout, `Output of ${each.member}`),
        each.stderr && block(each.stderr, `Errors of ${each.member}`)))),
      h("div", {class: "actions"}, button("Close", close)),
    ], {class: "wide"});
  }

  function card(action) {
    const {counts} = action;
    const whole = Object.values(counts).reduce((sum, each) => sum + each, 0);
    const done = ENDED.reduce((sum, state) => sum + (counts[state] ?? 0), 0);
    return [
      h("h2", null, `${action.hook} on ${action.member ?? `group ${action.group}`}`, " ", badge(action.state)),
      h("p", {class: "progress"}, bar(done, whole, `Members that have run ${action.hook}`), ` ${done} of ${whole}`),
      h("p", null, Object.entries(counts).map(([state, number]) => [badge(`${number} ${state}`, kindOf(state)), " "])),
      terms([["Created", [ago(action.created_at), ` by ${action.created_by}`]], ["Timeout", duration(action.timeout)],
        ["At once", action.max_parallel]]),
      h("div", {class: "actions"}, button("Results", () => results(action)),
        allowed.has("cancel_action") && action.state === "in_progress" && button("Cancel", () =>
          confirm("Cancel this action?", "Members that have not begun do not run it.", "Cancel the action", async () => {
            await call("POST", `${base}/${url("actions", action.id, "cancel")}`, {body: "{}"});
            await load();
          }), {class: "quiet"})),
    ];
  }

  async function load() {
    const {actions} = await call("GET", `${base}/actions`);
    nothing.hidden = actions.length > 0;
    keyedCards(cards, actions.reverse(), (each) => each.id, card);
    const wanted = opened && actions.find((each) => each.id === opened);
    opened = "";
    if (wanted) await results(wanted);
  }
  attempt(load);
  const timer = setInterval(() => document.hidden || attempt(load), REFRESH_MS);
  return {
    move: (rest) => { opened = rest[0] ?? ""; },
    close: () => clearInterval(timer),
  };
}
