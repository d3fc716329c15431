// The facts of a stack as a tree, with search; beside it, the fact that is selected.

import {h, show} from "../lib/dom.js";
import {preview} from "../lib/json.js";
import {button, counted, empty} from "../lib/parts.js";
import {age} from "../lib/time.js";
import {ancestors, build, rows, search} from "../lib/tree.js";
import {VirtualList} from "../lib/virtual.js";
import {factPanel} from "./fact.js";
import {addFact} from "./fact_edit.js";

const FLASH_MS = 1500;
const MOST_OPEN = 400; // facts of a stack whose folders are all open at first

/** Show the view. */
export function factsView(content, context) {
  const {model} = context;
  const open = new Set();
  const changedAt = new Map();
  let tree = null, found = null, selected = "", touched = false, unseen = "";

  const box = h("input", {type: "search", placeholder: "Search paths, values and authors",
    "aria-label": "Search facts", oninput: () => {
      find();
      draw();
    }});
  const count = h("span", {class: "count", role: "status"});
  const list = new VirtualList({
    role: "tree", label: "Facts", rowHeight: 28, class: "tree card", key: (row) => row.node.path,
    describe: (row) => ({
      "aria-level": row.depth, "aria-setsize": row.size, "aria-posinset": row.position,
      "aria-expanded": row.node.fact ? undefined : String(row.open),
      selected: row.node.fact && row.node.path === selected,
    }),
    render, onselect: (row) => row.node.fact ? context.go("facts", row.node.path) : toggle(row.node.path),
    onkey,
  });
  const panel = factPanel(context);
  const nothing = empty("The stack has no facts.");
  const layout = h("div", {class: "split"},
    h("div", {class: "list"},
      h("div", {class: "bar-top"}, box, count,
        context.allowed.has("put_fact") && button("Add fact", () => addFact(context))),
      nothing, list.element),
    panel.element);
  show(content, layout);

  function render(row) {
    const {node} = row;
    const indent = h("span", {class: "indent", "aria-hidden": "true"}, node.fact ? "" : row.open ? "▾" : "▸");
    indent.style.setProperty("margin-inline-start", `${(row.depth - 1) * 16}px`);
    if (!node.fact) {
      return [indent, h("span", {class: "name folder"}, node.name), h("span", {class: "aside"}, node.count)];
    }
    const fact = model.facts.get(node.path);
    if (!fact) return [indent, h("span", {class: "name"}, node.name)];
    const recent = performance.now() - (changedAt.get(node.path) ?? -Infinity) < FLASH_MS;
    return [indent,
      h("span", {class: `name ${recent ? "fresh" : ""}`}, node.name),
      h("span", {class: "value"}, fact.sensitive ? "sensitive" : preview(fact.value)),
      fact.kind === "parameter" && h("span", {class: "tag"}, "parameter"),
      h("span", {class: "aside"}, age(fact.updated_at))];
  }

  function toggle(path) {
    if (!touched && !found) for (const row of list.rows) if (row.open) open.add(row.node.path);
    touched = true;
    if (open.has(path)) open.delete(path);
    else open.add(path);
    draw();
  }

  function onkey(event, row) {
    const {node} = row;
    if (event.key === "ArrowRight" && !node.fact) {
      if (!row.open) toggle(node.path);
      return true;
    }
    if (event.key === "ArrowLeft") {
      if (!node.fact && row.open && !found) toggle(node.path);
      else if (ancestors(node.path).length) list.reveal(ancestors(node.path).at(-1));
      return true;
    }
    return false;
  }

  function find() {
    found = box.value.trim() ? search(model.facts, box.value) : null;
    tree = build(found ?? model.facts.keys());
  }

  function isOpen(path) {
    if (found || open.has(path)) return true;
    return !touched && model.facts.size <= MOST_OPEN;
  }

  function draw() {
    if (!tree) find();
    list.set(rows(tree, isOpen));
    nothing.hidden = model.facts.size > 0;
    list.element.hidden = model.facts.size === 0;
    if (unseen && model.facts.has(unseen)) { // it may arrive later than its address
      list.reveal(unseen);
      unseen = "";
    }
    const whole = counted(model.facts.size, "fact");
    count.textContent = found ? `${found.length.toLocaleString()} of ${whole}` : whole;
  }

  draw();
  const timer = setInterval(() => list.refresh(), 10_000); // ages
  return {
    move: (rest) => {
      selected = rest.join("/");
      layout.dataset.detail = selected ? "open" : "";
      for (const each of ancestors(selected)) open.add(each);
      unseen = selected;
      draw();
      list.refresh();
      panel.select(selected);
    },
    update: (changed, paths) => {
      const now = performance.now();
      for (const path of paths) changedAt.set(path, now);
      if (paths.size) setTimeout(() => list.refresh(), FLASH_MS + 50);
      if (changedAt.size > 2000) changedAt.clear();
      if (changed.has("tree") || (found && changed.has("facts"))) {
        find();
        draw();
      } else if (changed.has("facts")) list.refresh();
      panel.update(changed, paths);
    },
    close: () => {
      clearInterval(timer);
      list.close();
    },
  };
}
