// The stream as it arrives, newest first; it can be paused, and nothing is lost meanwhile.

import {h, setText, show} from "../lib/dom.js";
import {format, preview} from "../lib/json.js";
import {block, button, counted, empty} from "../lib/parts.js";
import {VirtualList} from "../lib/virtual.js";

/** Return one line about a change. */
export function summaryOf(change) {
  switch (change.type.split(".")[0]) {
    case "fact": return `${change.path}${change.fact ? ` = ${change.fact.sensitive ? "sensitive" : preview(change.fact.value, 80)}` : ""}`;
    case "member": return `${change.name} (${change.group}) ${change.member?.state ?? ""} ${change.reason ?? ""}`;
    default: return `${change.name ?? ""} ${change.reason ?? ""}`;
  }
}

/** Show the view. */
export function eventsView(content, context) {
  const {model} = context;
  let paused = null, selected = null; // paused: the events that were shown when it was
  const filter = h("input", {type: "search", placeholder: "Filter by type, path or member",
    "aria-label": "Filter events", oninput: draw});
  const pause = button("Pause", () => {
    paused = paused ? null : [...model.log];
    draw();
  }, {"aria-pressed": "false"});
  const count = h("span", {class: "count", role: "status"});
  const nothing = empty("No event has arrived since this page was opened.");
  const list = new VirtualList({
    role: "listbox", label: "Events", rowHeight: 28, class: "card mono", key: (row) => row.key,
    describe: (row) => ({selected: row.key === selected?.key}),
    render: ({event, change}) => [h("span", {class: "aside first"}, new Date(event.at).toLocaleTimeString()),
      h("span", {class: "type"}, change.type), h("span", {class: "value"}, summaryOf(change))],
    onselect: (row) => {
      selected = row;
      list.refresh();
      detail();
    },
  });
  const panel = h("aside", {class: "detail card", "aria-label": "Event", hidden: true});
  const layout = h("div", {class: "split"}, h("div", {class: "list"},
    h("div", {class: "bar-top"}, filter, pause, count), nothing, list.element), panel);
  show(content, layout);

  function detail() {
    panel.hidden = !selected;
    layout.dataset.detail = selected ? "open" : "";
    if (!selected) return;
    show(panel, button("Close", () => {
      selected = null;
      detail();
      list.element.focus();
    }, {class: "quiet"}), h("h2", null, selected.change.type), h("p", {class: "small"}, `Cursor ${selected.event.cursor}`),
    block(format(selected.change, 2), "Event"));
  }

  function draw() {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const log = paused ?? model.log;
    const rows = [];
    for (let at = log.length - 1; at >= 0; at -= 1) {
      log[at].changes.forEach((change, index) => {
        const text = words.length ? `${change.type} ${summaryOf(change)}`.toLowerCase() : "";
        if (words.every((word) => text.includes(word))) {
          rows.push({event: log[at], change, key: `${log[at].number} ${index}`});
        }
      });
    }
    const reading = list.element.scrollTop > 0 ? list.rows.length : null;
    list.set(rows);
    if (reading !== null && !paused && rows.length > reading) {
      list.element.scrollTop += (rows.length - reading) * 28; // the rows under the eyes stay
    }
    list.refresh();
    nothing.hidden = log.length > 0;
    list.element.hidden = log.length === 0;
    setText(pause, paused ? "Continue" : "Pause");
    pause.setAttribute("aria-pressed", String(Boolean(paused)));
    const later = paused ? model.received - (paused.at(-1)?.number ?? 0) : 0;
    count.textContent = paused ? `paused, ${counted(later, "later event")}` : counted(model.received, "event");
  }
  draw();
  return {
    update: (changed) => changed.has("events") && draw(),
    close: () => list.close(),
  };
}
