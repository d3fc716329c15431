// One stack: its events, a summary that is always visible, and a view for each noun.

import {url} from "../lib/api.js";
import {eachFrame, h, redraw, setText, show} from "../lib/dom.js";
import {Model} from "../lib/model.js";
import {bar, button, counted} from "../lib/parts.js";
import {Conditions, Side} from "../lib/side.js";
import {Stream} from "../lib/stream.js";
import {actionsView} from "./actions.js";
import {alarmsView} from "./alarms.js";
import {configurationsView} from "./configurations.js";
import {eventsView} from "./events.js";
import {factsView} from "./facts.js";
import {membersView} from "./members.js";
import {pictureView} from "./picture.js";
import {deleteStack} from "./stacks.js";
import {turnsView} from "./turns.js";
import {waitersView} from "./waiters.js";

const VIEWS = {
  "": ["Overview", pictureView],
  facts: ["Facts", factsView],
  members: ["Members", membersView],
  waiters: ["Waiters", waitersView],
  alarms: ["Alarms", alarmsView],
  configurations: ["Configurations", configurationsView],
  actions: ["Actions", actionsView],
  turns: ["Turns", turnsView],
  events: ["Events", eventsView],
};
const STATES = {
  connecting: "Connecting", live: "Live", lost: "Reconnecting", missing: "No such stack", ended: "Not allowed",
};

/** Show the page of a stack. */
export function stackPage(main, names, {session, chip}) {
  const stack = names[1];
  const model = new Model(eachFrame);
  const base = `v1/${url("stacks", stack)}`;
  const stream = new Stream(`${base}/events`, {
    clear: (detail) => model.clear(detail),
    snapshot: (part) => model.snapshot(part),
    synced: (cursor) => model.synced(cursor),
    change: (event) => model.change(event),
    state: (name, detail) => model.setState(name, detail),
  });
  const changedSides = eachFrame(() => {
    summarize();
    view?.side?.();
  });
  const convergence = new Side(`${base}/convergence`, changedSides, {busy: (found) => !found.converged});
  const waits = new Side(`${base}/waits`, changedSides, {busy: (found) => found.waits.length > 0});
  const conditions = new Conditions(stack, model);
  const context = {
    stack, base, model, convergence, waits, session, allowed: new Set(session.allowed),
    go: (...more) => { location.hash = `#/${url("stacks", stack, ...more)}`; },
    href: (...more) => `#/${url("stacks", stack, ...more)}`,
  };
  const summary = h("dl", {class: "summary"});
  const tabs = h("nav", {class: "tabs", "aria-label": `Views of ${stack}`});
  const notice = h("p", {class: "notice", role: "alert", hidden: true});
  const content = h("section", {class: "view"});
  let view = null, shown = null;

  const figures = {};
  for (const [key, label] of [["facts", "Facts"], ["members", "Members"], ["converged", "Converged"],
    ["waiters", "Waiters"], ["alarms", "Alarms"], ["waits", "Waits"]]) {
    figures[key] = h("dd");
    summary.append(h("div", {class: "figure", "data-figure": key}, h("dt", null, label), figures[key]));
  }

  function figure(key, text, kind = "") {
    figures[key].parentElement.dataset.kind = kind;
    setText(figures[key], text);
  }

  function summarize() {
    figure("facts", model.facts.size.toLocaleString());
    figure("members", model.members.size.toLocaleString());
    const found = convergence.value;
    if (found) {
      const whole = found.members.length, done = whole - found.lagging.length;
      figures.converged.parentElement.dataset.kind = found.converged ? "good" : whole ? "busy" : "";
      redraw(figures.converged, `${done} of ${whole} `, whole > 0 && bar(done, whole, "Converged members"));
    } else figure("converged", "–");
    const waiters = [...model.waiters.values()];
    const failed = waiters.filter((each) => ["failed", "timed_out"].includes(each.state)).length;
    const pending = waiters.filter((each) => each.state === "pending").length;
    figure("waiters", failed ? `${failed} failed` : pending ? `${pending} pending` : String(waiters.length),
      failed ? "bad" : pending ? "busy" : "");
    const raised = [...model.alarms.values()].filter((each) => each.state === "alarm").length;
    figure("alarms", raised ? `${raised} raised` : String(model.alarms.size), raised ? "bad" : "");
    const waiting = waits.value;
    figures.waits.parentElement.hidden = !waiting;
    if (waiting) {
      const circles = waiting.circles.length;
      figure("waits", circles ? counted(circles, "circle") : waiting.never.length ? `${waiting.never.length} never`
        : String(waiting.waits.length), waiting.stuck || circles || waiting.never.length ? "bad" : "");
    }
  }

  function status() {
    chip(model.deleted ? "missing" : model.state, model.deleted ? "Deleted" : STATES[model.state]);
    let text = "";
    if (model.deleted) text = "The stack was deleted.";
    else if (model.state === "missing") text = `The project has no stack ${stack}.`;
    else if (model.state === "ended") text = model.detail;
    else if (model.detail) text = model.detail;
    notice.hidden = !text;
    redraw(notice, text, (model.deleted || model.state === "missing") && h("a", {href: "#/"}, " Show all stacks"));
  }

  function move(names) {
    const name = Object.hasOwn(VIEWS, names[2] ?? "") ? names[2] ?? "" : "";
    const rest = names.slice(3);
    if (name !== shown) {
      view?.close?.();
      shown = name;
      document.title = `${stack} · ${VIEWS[name][0]} · factstore`;
      show(tabs, Object.entries(VIEWS).map(([each, [label]]) =>
        h("a", {href: context.href(...(each ? [each] : [])), "aria-current": each === name ? "page" : undefined}, label)));
      tabs.querySelector("[aria-current]")?.scrollIntoView({block: "nearest", inline: "nearest"});
      content.setAttribute("aria-label", VIEWS[name][0]);
      content.dataset.view = name || "overview";
      view = VIEWS[name][1](content, context);
    }
    view.move?.(rest);
    summarize();
  }

  const silence = model.listen((changed, paths) => {
    if (changed.has("events")) {
      convergence.poke();
      waits.poke();
      conditions.poke();
    }
    summarize();
    status();
    view?.update?.(changed, paths);
  });
  const remove = context.allowed.has("delete_stack") &&
    button("Delete stack", () => deleteStack(stack, () => { location.hash = "#/"; }), {class: "quiet"});
  show(main, h("div", {class: "page stack"}, h("h1", {class: "visually-hidden"}, stack), notice,
    h("div", {class: "bar-top"}, summary, remove), tabs, content));
  move(names);
  status();
  return {
    move,
    close: () => {
      silence();
      view?.close?.();
      stream.close();
      for (const each of [convergence, waits, conditions]) each.close();
    },
  };
}
