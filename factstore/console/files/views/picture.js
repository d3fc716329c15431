// The stack at a glance: its members by group, who waits for whom, and changes as they spread.

import {call} from "../lib/api.js";
import {eachFrame, h, redraw, setText, show} from "../lib/dom.js";
import {edgesOf, goalOf, layOut, nameOf, nodeAt, radiusOf} from "../lib/layout.js";
import {ownerOf} from "../lib/model.js";
import {Painter} from "../lib/painter.js";
import {counted} from "../lib/parts.js";
import {age} from "../lib/time.js";

const HUB = 34; // pixels above the groups for facts of no member
const READERS_MS = 400, KEPT_MS = 15_000, MOST_PULSES = 250;
const MOST_LISTED = 20;

/** Show the view. */
export function pictureView(content, context) {
  const {model, convergence, waits, base} = context;
  const canvas = h("canvas", {class: "picture", tabindex: 0, role: "img", "aria-label": "Members by group"});
  const tip = h("div", {class: "tip", hidden: true, role: "status"});
  const about = h("p", {class: "small", id: "picture-text"});
  const legend = h("ul", {class: "legend"}, [["good", "converged"], ["busy", "lags, or draining"], ["plain", "not joined"]]
    .map(([kind, text]) => h("li", null, h("span", {class: `dot ${kind}`, "aria-hidden": "true"}), text)),
  h("li", null, h("span", {class: "stroke busy", "aria-hidden": "true"}), "waits for"),
  h("li", null, h("span", {class: "stroke bad", "aria-hidden": "true"}), "in a circle"),
  h("li", null, h("span", {class: "dot ring", "aria-hidden": "true"}), "changes, and wakes"));
  const listed = h("div", {class: "waits"});
  const frame = h("div", {class: "frame card"}, canvas, tip);
  show(content, frame, h("div", {class: "under"}, legend, about), listed);
  const painter = new Painter(canvas);
  const readers = new Map(); // of a path: the members that a change of it concerns, and until when
  let asking = false, members = "";

  const arrange = eachFrame(() => {
    const width = frame.clientWidth - 2, narrow = width < 600;
    const height = Math.max(320, Math.min(innerHeight - (narrow ? 260 : 330), 760));
    if (width <= 0) return;
    painter.stack = {x: 14, y: HUB / 2};
    painter.scene = layOut(model.members.values(), width, height, HUB);
    painter.resize(width, Math.max(120, Math.ceil(painter.scene.height)));
    colour();
  });

  function colour() {
    const followers = new Map((convergence.value?.members ?? []).map((each) => [each.name, each]));
    painter.kinds.clear();
    painter.hollow.clear();
    for (const [name, member] of model.members) {
      const follower = followers.get(name);
      if (member.ttl === null) painter.kinds.set(name, "plain");
      else if (follower && !follower.lags) painter.kinds.set(name, "good");
      else painter.kinds.set(name, "busy");
      if (member.state !== "ready") painter.hollow.add(name);
    }
    painter.edges = edgesOf(waits.value, painter.scene.places);
    painter.draw();
    describe();
  }

  function describe() {
    const found = convergence.value;
    const done = found ? found.members.length - found.lagging.length : 0;
    const text = `Members: ${model.members.size}; groups: ${painter.scene.boxes.length}; converged: ${done}` +
      (waits.value ? `; waits: ${waits.value.waits.length}; circles: ${waits.value.circles.length}.` : ".");
    canvas.setAttribute("aria-label", text);
    setText(about, model.members.size ? text : "The stack has no members. Its facts are in the view Facts.");
    frame.hidden = model.members.size === 0;
  }

  function list() {
    const found = waits.value;
    if (!found?.waits.length) {
      show(listed);
      return;
    }
    const line = (step) => `${nameOf(step.who)} waits for ${goalOf(step.for)}`;
    redraw(listed,
      found.circles.map((circle) => h("section", {class: "card bad"},
        h("h2", null, `A circle of ${circle.members?.length || circle.steps.length}`),
        h("ol", null, circle.steps.slice(0, MOST_LISTED).map((step) =>
          h("li", null, line(step), step.owner && `, which ${nameOf(step.owner)} ${step.for.turn ? "holds" : "writes"}`))),
        h("p", {class: "small"}, found.note))),
      found.never.slice(0, MOST_LISTED).map((never) => h("section", {class: "card bad"},
        h("h2", null, line(never)), h("p", null, never.detail), h("p", {class: "small"}, never.remedy))),
      h("details", {class: "card"}, h("summary", null, counted(found.waits.length, "wait")),
        h("ul", {class: "plain"}, found.waits.slice(0, 200).map((wait) => h("li", null, line(wait),
          wait.owners.length ? `, of ${wait.owners.slice(0, 5).join(", ")}` : "", `, for ${age(wait.since)}`)))));
  }

  /** Return where a change of a fact begins. */
  function source(path) {
    return painter.scene.places.get(ownerOf(path)) ?? painter.stack;
  }

  async function woken(path) {
    const now = performance.now();
    const known = readers.get(path);
    if (known && known.until > now) return known.names;
    if (asking) return [];
    asking = true;
    setTimeout(() => { asking = false; }, READERS_MS);
    const page = await call("GET", `${base}/members`, {query: {reads: path, limit: MOST_PULSES}}).catch(() => null);
    const names = page?.members.map((each) => each.name) ?? [];
    if (readers.size > 200) readers.clear();
    readers.set(path, {names, until: now + KEPT_MS});
    return names;
  }

  async function spread(path) {
    const from = source(path);
    if (!from) return;
    painter.ripple(from);
    for (const name of await woken(path)) {
      const to = painter.scene.places.get(name);
      if (to && to !== from && painter.moving < MOST_PULSES) painter.pulse(from, to);
    }
  }

  let focused = null;
  function point(name, x = null, y = null) {
    if (name === focused) return;
    focused = painter.focus = name;
    const member = name && model.members.get(name);
    tip.hidden = !member;
    if (member) {
      const place = painter.scene.places.get(name);
      show(tip, h("strong", null, name), ` ${member.group}, ${member.state}`);
      tip.style.setProperty("left", `${Math.min((x ?? place.x) + 12, painter.width - 160)}px`);
      tip.style.setProperty("top", `${(y ?? place.y) + 16}px`);
    }
    canvas.dataset.over = name ?? "";
    painter.draw();
  }
  canvas.addEventListener("pointermove", (event) => {
    point(nodeAt(painter.scene.places, event.offsetX, event.offsetY, radiusOf(painter.scene.spacing)), event.offsetX, event.offsetY);
  });
  canvas.addEventListener("pointerleave", () => point(null));
  canvas.addEventListener("blur", () => point(null));
  canvas.addEventListener("click", () => focused && context.go("members", focused));
  canvas.addEventListener("keydown", (event) => {
    const names = [...painter.scene.places.keys()], at = names.indexOf(focused);
    const step = {ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1}[event.key];
    if (step && names.length) point(names[(at + step + names.length) % names.length]);
    else if (event.key === "Enter" && focused) context.go("members", focused);
    else if (event.key === "Escape") point(null);
    else return;
    event.preventDefault();
  });
  const observer = new ResizeObserver(arrange);
  observer.observe(content);
  arrange();
  list();
  return {
    update: (changed, paths) => {
      if (changed.has("members")) {
        const now = [...model.members.values()].map((each) => `${each.group}/${each.name}`).sort().join(" ");
        if (now === members) colour();
        else arrange();
        members = now;
      }
      if (paths.size) for (const path of [...paths].slice(0, 60)) spread(path);
    },
    side: () => {
      colour();
      list();
    },
    close: () => {
      observer.disconnect();
      painter.close();
    },
  };
}
