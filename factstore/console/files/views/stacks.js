// The stacks of the project: search, create, delete.

import {call, list, url} from "../lib/api.js";
import {announce, h, show} from "../lib/dom.js";
import {ago, attempt, button, confirm, counted, dialog, empty, field} from "../lib/parts.js";
import {VirtualList} from "../lib/virtual.js";

const NAME = "[A-Za-z0-9_][A-Za-z0-9_.:@\\-]{0,127}";
const REFRESH_MS = 15_000;

/** Ask whether a stack is to be deleted; `then` runs when it was. */
export function deleteStack(name, then) {
  confirm(`Delete ${name}?`, "All facts, members, waiters and grants of the stack are deleted.", "Delete", async () => {
    await call("DELETE", `v1/${url("stacks", name)}`);
    announce(`Stack ${name} was deleted.`);
    await then();
  });
}

/** Show the page. */
export function stacksPage(main, {session, chip}) {
  document.title = "Stacks · factstore";
  const allowed = new Set(session.allowed);
  let stacks = [];
  const search = h("input", {type: "search", placeholder: "Search stacks", "aria-label": "Search stacks", oninput: draw});
  const count = h("p", {class: "count", role: "status"});
  const rows = new VirtualList({
    role: "listbox", label: "Stacks", rowHeight: 52, class: "card", key: (stack) => stack.name,
    render: (stack) => [h("span", {class: "name"}, stack.name),
      h("span", {class: "about"}, stack.settings.description),
      h("span", {class: "aside"}, ago(stack.created_at, "created "))],
    onselect: (stack) => { location.hash = `#/${url("stacks", stack.name)}`; },
    onkey: (event, stack) => event.key === "Delete" && allowed.has("delete_stack") && (deleteStack(stack.name, load), true),
  });
  const nothing = empty("The project has no stacks. The first fact that is put creates one.");

  function draw() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const found = stacks.filter((stack) => {
      const text = `${stack.name} ${stack.settings.description}`.toLowerCase();
      return words.every((word) => text.includes(word));
    });
    rows.set(found);
    nothing.hidden = stacks.length > 0;
    rows.element.hidden = stacks.length === 0;
    count.textContent = words.length ? `${found.length} of ${counted(stacks.length, "stack")}` : counted(stacks.length, "stack");
  }

  async function load() {
    const found = await list("v1/stacks", "stacks");
    stacks = found;
    draw();
  }

  function create() {
    dialog("Create a stack", (close) => {
      const problem = h("p", {class: "problem", role: "alert", hidden: true});
      const name = h("input", {required: true, pattern: NAME, maxlength: 128, spellcheck: "false",
        title: "ASCII letters, digits and _.:@-"});
      const about = h("input", {maxlength: 255});
      return h("form", {onsubmit: async (event) => {
        event.preventDefault();
        try {
          const body = JSON.stringify({description: about.value});
          await call("PUT", `v1/${url("stacks", name.value)}`, {body, headers: {"If-None-Match": "*"}});
          close();
          location.hash = `#/${url("stacks", name.value)}`;
        } catch (error) {
          problem.hidden = false;
          show(problem, error.status === 412 ? "A stack with this name exists. Choose another name." : error.message);
        }
      }}, problem, field("Name", name), field("Description", about),
      h("div", {class: "actions"}, button("Cancel", close),
        h("button", {type: "submit", class: "primary"}, "Create")));
    });
  }

  show(main, h("div", {class: "page"},
    h("div", {class: "bar-top"}, h("h1", null, "Stacks"), search, count,
      allowed.has("put_stack") && button("Create stack", create, {class: "primary"})),
    nothing, rows.element));
  chip("plain", "");
  attempt(load);
  const timer = setInterval(() => document.hidden || attempt(load), REFRESH_MS);
  return {close: () => {
    clearInterval(timer);
    rows.close();
  }};
}
