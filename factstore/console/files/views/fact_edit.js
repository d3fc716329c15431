// Adding and editing a fact. A value that others changed meanwhile is never overwritten unseen: both values
// are shown, and the person chooses.

import {ApiError, call, url} from "../lib/api.js";
import {announce, h, show} from "../lib/dom.js";
import {format, parse} from "../lib/json.js";
import {ago, block, button, dialog, field} from "../lib/parts.js";
import {difference, valueText} from "../lib/values.js";

const PATH = "[A-Za-z0-9_][A-Za-z0-9_.:@\\-]{0,127}(/[A-Za-z0-9_][A-Za-z0-9_.:@\\-]{0,127}){0,15}";

/** Return a value as JSON, or a string if the text is no JSON and contains no JSON's beginning. */
function read(text) {
  try {
    return {value: parse(text)};
  } catch (error) {
    return /^\s*[[{"]/.test(text) ? {problem: `This is not JSON: ${error.message}`} : {value: text.trim()};
  }
}

function body(value, fact, kind) {
  const parts = {value, kind};
  if (fact?.member) parts.member = fact.member;
  else if (fact?.ttl) parts.ttl = fact.ttl;
  if (fact?.sensitive) Object.assign(parts, {sensitive: true, readers: fact.readers});
  return format(parts);
}

function kindInput(kind, allowed) {
  return h("select", {disabled: !allowed}, ["observed", "parameter"].map((each) =>
    h("option", {value: each, selected: each === kind}, each)));
}

const problemBox = () => h("p", {class: "problem", role: "alert", hidden: true});

function complain(problem, text) {
  problem.hidden = false;
  show(problem, text);
}

/** Ask for a new fact. */
export function addFact(context) {
  dialog("Add a fact", (close) => {
    const problem = problemBox();
    const path = h("input", {required: true, pattern: PATH, maxlength: 512, spellcheck: "false",
      title: "Names of ASCII letters, digits and _.:@-, joined by slashes"});
    const text = h("textarea", {rows: 6, spellcheck: "false", required: true});
    const kind = kindInput("observed", context.allowed.has("put_parameter"));
    return h("form", {onsubmit: async (event) => {
      event.preventDefault();
      const found = read(text.value);
      if (found.problem) return complain(problem, found.problem);
      try {
        await call("PUT", `${context.base}/${url("facts", path.value)}`,
          {body: body(found.value, null, kind.value), headers: {"If-None-Match": "*"}});
        close();
        context.go("facts", path.value);
      } catch (error) {
        complain(problem, error.status === 412 ? "This fact exists already. Edit it instead." : error.message);
      }
    }}, problem, field("Path", path), field("Value", text, "JSON; a text without quotes is a string"),
    field("Kind", kind),
    h("div", {class: "actions"}, button("Cancel", close),
      h("button", {type: "submit", class: "primary"}, "Add")));
  });
}

/** Edit a fact. */
export function editFact(context, fact) {
  const {model} = context;
  const path = `${context.base}/${url("facts", fact.path)}`;
  let known = fact, silence = () => {};
  const {element} = dialog(`Edit ${fact.path}`, (close) => {
    const problem = problemBox();
    const conflict = h("div", {class: "conflict", hidden: true, role: "group", "aria-label": "Conflict"});
    const text = h("textarea", {rows: 10, spellcheck: "false",
      value: fact.sensitive ? "" : typeof fact.value === "string" ? JSON.stringify(fact.value) : format(fact.value, 2)});
    const kind = kindInput(fact.kind, context.allowed.has("put_parameter"));
    const submit = h("button", {type: "submit", class: "primary"}, "Save");
    const meanwhile = h("p", {class: "notice", role: "status", hidden: true});

    silence = model.listen((changed, paths) => {
      if (!paths.has(fact.path) || !conflict.hidden) return;
      const now = model.facts.get(fact.path);
      if (now?.etag === known.etag) return;
      meanwhile.hidden = false;
      show(meanwhile, now ? `${now.updated_by} has changed this fact meanwhile. You see both values when you save.`
        : "This fact was deleted meanwhile.");
    });

    async function save(precondition) {
      const found = read(text.value);
      if (found.problem) return complain(problem, found.problem);
      problem.hidden = true;
      submit.disabled = true;
      try {
        await call("PUT", path, {body: body(found.value, known, kind.value), headers: precondition});
        announce(`${fact.path} was saved.`);
        close();
      } catch (error) {
        if (error instanceof ApiError && error.status === 412) await showConflict();
        else complain(problem, error.message);
      }
      submit.disabled = false;
    }

    async function showConflict() {
      let now = null;
      try {
        now = await call("GET", path);
      } catch (error) {
        if (error.status !== 404) return complain(problem, error.message);
      }
      const mine = read(text.value).value;
      const mineText = format(mine, 2), theirs = now ? valueText(now) : "";
      conflict.hidden = false;
      meanwhile.hidden = true;
      submit.hidden = true;
      show(conflict,
        h("h3", null, now ? "Somebody else has changed this fact" : "Somebody else has deleted this fact"),
        now && h("p", null, `${now.updated_by} changed it `, ago(now.updated_at),
          ". Nothing was saved. Choose the value that is to remain."),
        h("div", {class: "sides"},
          h("section", null, h("h4", null, "Their value"), block(now ? theirs : "(deleted)", "Their value")),
          h("section", null, h("h4", null, "Your value"), block(mineText, "Your value"))),
        now && h("details", null, h("summary", null, "Difference"), difference(theirs, mineText, "Difference")),
        h("div", {class: "actions"},
          button("Keep theirs", close),
          now && button("Continue with theirs", () => {
            known = now;
            text.value = now.sensitive && now.value === null ? "" : format(now.value, 2);
            again();
          }),
          button(now ? "Replace with yours" : "Create it again", () => {
            known = now ?? {...known, etag: null};
            again();
            save(now ? {"If-Match": `"${now.etag}"`} : {"If-None-Match": "*"});
          }, {class: "danger"})));
      conflict.querySelector("button").focus();
    }

    function again() {
      conflict.hidden = true;
      submit.hidden = false;
    }

    return h("form", {onsubmit: (event) => {
      event.preventDefault();
      save({"If-Match": `"${known.etag}"`});
    }}, problem, meanwhile,
    field("Value", text, fact.sensitive ? "The value is sensitive. Enter the new one as JSON." : "JSON; a text without quotes is a string"),
    field("Kind", kind), conflict,
    h("div", {class: "actions"}, button("Cancel", close), submit));
  }, {class: "wide"});
  element.addEventListener("close", () => silence());
}
