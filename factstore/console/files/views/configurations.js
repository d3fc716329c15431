// The configurations of a stack and their results, as a timeline for each member.

import {call, url} from "../lib/api.js";
import {h, redraw, settled, show} from "../lib/dom.js";
import {format} from "../lib/json.js";
import {ago, attempt, badge, block, dialog, button, empty, kindOf, terms} from "../lib/parts.js";
import {duration} from "../lib/time.js";

const MEMBERS = 200; // rows that are shown at once

/** Return the span of all runs: from the first start to the last end, or now. */
export function spanOf(configurations, now) {
  const runs = configurations.map((each) => each.result).filter(Boolean);
  if (!runs.length) return null;
  const begin = Math.min(...runs.map((run) => Date.parse(run.started_at)));
  const end = Math.max(...runs.map((run) => run.ended_at ? Date.parse(run.ended_at) : now));
  return {begin, length: Math.max(1000, end - begin)};
}

/** Show the view. */
export function configurationsView(content, context) {
  const {base} = context;
  const rows = h("div", {class: "timelines"});
  const nothing = empty("The stack has no configurations.");
  const search = h("input", {type: "search", placeholder: "Search members and configurations",
    "aria-label": "Search configurations", oninput: draw});
  const count = h("span", {class: "count", role: "status"});
  show(content, h("div", {class: "bar-top"}, search, count), nothing, rows);
  let found = [];

  async function load() {
    found = (await call("GET", `${base}/configurations`)).configurations;
    draw();
  }
  const later = settled(300, () => attempt(load));

  async function detail(each) {
    const whole = await attempt(() => call("GET", `${base}/${url("configurations", each.member, each.name)}`));
    if (!whole) return;
    const {result} = whole;
    dialog(`${whole.member}/${whole.name}`, (close) => [
      terms([
        ["State", badge(whole.state)],
        ["Hook", whole.group],
        ["Action", whole.action],
        ["Waits for", whole.waits_for.join(", ")],
        ["Depends on", whole.depends_on.join(", ")],
        ["Started", result && ago(result.started_at)],
        ["Took", result?.ended_at && duration((Date.parse(result.ended_at) - Date.parse(result.started_at)) / 1000)],
        ["Status", result?.status_code],
        ["Progress", result?.percent === null || !result ? null : `${result.percent} %`],
        ["Message", result?.message],
        ["Reason", result?.reason],
      ]),
      result?.stdout && [h("h3", null, "Output"), block(result.stdout, "Output")],
      result?.stderr && [h("h3", null, "Errors"), block(result.stderr, "Errors")],
      result && Object.keys(result.outputs).length > 0 && [h("h3", null, "Outputs"), block(format(result.outputs, 2), "Outputs")],
      whole.config && h("details", null, h("summary", null, "Configuration"), block(whole.config, "Configuration")),
      h("div", {class: "actions"}, button("Close", close)),
    ], {class: "wide"});
  }

  function run(each, span, now) {
    const {result} = each;
    const label = `${each.name}: ${each.state.replaceAll("_", " ")}`;
    const element = button([h("span", {class: "mark", "aria-hidden": "true"}), label], () => detail(each),
      {"data-key": "run", class: `run ${kindOf(each.state)}`, title: result?.message || each.waits_for.join(", ")});
    if (result && span) {
      const start = (Date.parse(result.started_at) - span.begin) / span.length;
      const end = ((result.ended_at ? Date.parse(result.ended_at) : now) - span.begin) / span.length;
      const style = {"inset-inline-start": `${start * 100}%`, "inline-size": `max(3px, ${(end - start) * 100}%)`};
      return h("li", {"data-key": each.name}, element,
        h("span", {class: "lane", "aria-hidden": "true"}, h("span", {class: "stretch", style})));
    }
    return h("li", {"data-key": each.name}, element, h("span", {class: "small"}, each.waits_for.length ? `waits for ${each.waits_for.join(", ")}` : ""));
  }

  function draw() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = found.filter((each) => words.every((word) =>
      `${each.member}/${each.name} ${each.state}`.toLowerCase().includes(word)));
    const now = Date.now(), span = spanOf(wanted, now);
    const members = new Map();
    for (const each of wanted) members.set(each.member, [...(members.get(each.member) ?? []), each]);
    nothing.hidden = found.length > 0;
    count.textContent = found.length ? `${wanted.length} of ${found.length}` : "";
    redraw(rows, span && h("p", {class: "small"}, `The lines span ${duration(span.length / 1000)}.`),
      [...members].slice(0, MEMBERS).map(([member, list]) => h("section", {class: "card lanes", "data-key": member},
        h("h2", null, h("a", {href: context.href("members", member)}, member)),
        h("ol", null, list.map((each) => run(each, span, now))))),
      members.size > MEMBERS && h("p", null, `${members.size - MEMBERS} more members are not shown. Search for them.`));
  }

  attempt(load);
  return {
    update: (_, paths) => {
      for (const path of paths) {
        if (path.startsWith("configs/") || path.startsWith("results/")) return later();
      }
      return undefined;
    },
  };
}
