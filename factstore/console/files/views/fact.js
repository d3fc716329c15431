// The selected fact: its value, its author, its history, and what policy allows to do with it.

import {call, url} from "../lib/api.js";
import {h, redraw, show} from "../lib/dom.js";
import {format} from "../lib/json.js";
import {ago, attempt, block, button, confirm, empty, terms} from "../lib/parts.js";
import {difference, valueText} from "../lib/values.js";
import {editFact} from "./fact_edit.js";

const CHANGES = 50;

/** Return the panel. */
export function factPanel(context) {
  const {model, base, allowed} = context;
  const element = h("aside", {class: "detail card", "aria-label": "Fact", hidden: true});
  let path = "", secret = null, history = null, asked = 0;

  async function loadHistory() {
    const turn = (asked += 1);
    try {
      const found = await call("GET", `${base}/${url("history", path)}`, {query: {limit: CHANGES}});
      if (turn !== asked) return;
      history = found;
    } catch (error) {
      if (turn !== asked) return;
      history = {changes: [], problem: error.message};
    }
    draw();
  }

  async function reveal() {
    const found = await attempt(() => call("GET", `${base}/${url("facts", path)}`));
    secret = found ? {etag: found.etag, value: found.value} : null;
    draw();
  }

  function remove(fact) {
    confirm("Delete this fact?", `${fact.path} is deleted if nobody changes it meanwhile.`, "Delete", async () => {
      await call("DELETE", `${base}/${url("facts", fact.path)}`, {headers: {"If-Match": `"${fact.etag}"`}});
      context.go("facts");
    });
  }

  function draw() {
    const fact = model.facts.get(path);
    element.hidden = !path;
    if (!path) return;
    const back = h("a", {class: "back", href: context.href("facts")}, "All facts");
    if (!fact) {
      redraw(element, back, h("h2", null, path), empty("This fact does not exist now."), timeline());
      return;
    }
    const shownSecret = fact.sensitive && secret?.etag === fact.etag;
    const protectedFact = fact.kind === "parameter" && !allowed.has("put_parameter");
    redraw(element, back, h("h2", null, path),
      block(shownSecret ? format(secret.value, 2) : valueText(fact), "Value", "value"),
      h("div", {class: "actions"},
        fact.sensitive && !shownSecret && button("Show value", reveal),
        allowed.has("put_fact") && !protectedFact && button("Edit", () => editFact(context, fact)),
        allowed.has("delete_fact") && !protectedFact && button("Delete", () => remove(fact), {class: "quiet"})),
      terms([
        ["Kind", fact.kind],
        ["Changed", [ago(fact.updated_at), ` by ${fact.updated_by}`]],
        ["Created", ago(fact.created_at)],
        ["Version", `${fact.version}, at revision ${fact.revision}`],
        ["Bound to", fact.member && h("a", {href: context.href("members", fact.member)}, fact.member)],
        ["Time to live", fact.ttl && !fact.member ? `${fact.ttl} s` : null],
        ["Readers", fact.readers.join(", ")],
      ]),
      timeline());
  }

  function timeline() {
    const changes = history?.changes ?? [];
    return [h("h3", null, "History"), history && [
      history.problem && empty(history.problem),
      !history.problem && !changes.length && empty("No recent change is known."),
      h("ol", {class: "timeline"}, changes.map((change, at) => {
        const before = changes[at + 1]?.fact ?? null;
        return h("li", {class: change.type.split(".")[1], "data-key": change.cursor},
          h("p", null, h("strong", null, {"fact.put": change.fact ? "put" : "put a value that was not kept", "fact.delete": "deleted", "fact.expire": "expired"}[change.type]),
            change.fact && [" ", ago(change.fact.updated_at)], change.by && ` by ${change.by}`),
          change.request_id && h("p", {class: "small"}, change.request_id),
          change.fact && difference(before ? valueText(before) : valueText(change.fact), valueText(change.fact),
            `Change ${changes.length - at}`));
      })),
      history.more && h("p", {class: "small"}, "Older changes are not shown.")]];
  }

  return {
    element,
    select: (wanted) => {
      if (wanted === path) return;
      path = wanted;
      secret = history = null;
      show(element); // the buttons of another fact are others
      draw();
      element.scrollTop = 0;
      if (path) loadHistory();
    },
    update: (changed, paths) => {
      if (!path || !(paths.has(path) || changed.has("tree"))) return;
      if (paths.has(path)) loadHistory();
      draw();
    },
  };
}
