// Why a member ran last: the change that it applied, and what that followed from.

import {call, url} from "../lib/api.js";
import {h} from "../lib/dom.js";
import {ago, attempt, button, dialog, empty} from "../lib/parts.js";

/** Return a step in words: what has changed, and who has changed it. */
export function stepText(step) {
  if (!step.type) return "a change that you may not read";
  const by = step.writer ? ` by ${step.writer}` : step.by ? ` by ${step.by}` : "";
  const more = step.others ? `, and ${step.others} more in the same revision` : "";
  return `${step.type} ${step.path ?? step.member ?? ""}${by}${step.reason ? ` (${step.reason})` : ""}${more}`;
}

/** Show why a member ran last. */
export async function showWhy(base, name) {
  const found = await attempt(() => call("GET", `${base}/${url("members", name, "why")}`));
  if (!found) return;
  const {flapping} = found;
  dialog(`Why ${name} ran last`, (close) => [
    flapping && h("p", {class: "problem"},
      `${flapping.path} was changed ${flapping.times} times by a chain that returns to it, by the hooks of ` +
      `${flapping.writers.join(" and ") || "no member"}.`),
    found.steps.length ? h("ol", {class: "timeline"}, found.steps.map((step) => h("li", null,
      h("p", null, stepText(step), step.at && [" ", ago(step.at)]),
      step.request_id && h("p", {class: "small"}, step.request_id))))
      : empty("The member has not applied anything yet."),
    found.end.detail && h("p", null, found.end.detail),
    h("div", {class: "actions"}, button("Close", close)),
  ], {class: "wide"});
}
