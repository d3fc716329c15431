// The members of a stack by group, and the member that is selected.

import {call, url} from "../lib/api.js";
import {h, redraw, setText, show} from "../lib/dom.js";
import {format} from "../lib/json.js";
import {ago, attempt, badge, block, button, confirm, counted, dialog, empty, terms} from "../lib/parts.js";
import {duration} from "../lib/time.js";
import {VirtualList} from "../lib/virtual.js";
import {showWhy} from "./why.js";

const HEARTBEAT_MS = 5000;
const ORDER = new Intl.Collator("en", {numeric: true});

/** Return rows: a heading for each group, and its members. */
export function memberRows(members, words) {
  const groups = new Map();
  for (const member of members) {
    const text = `${member.name} ${member.group} ${member.state}`.toLowerCase();
    if (!words.every((word) => text.includes(word))) continue;
    if (!groups.has(member.group)) groups.set(member.group, []);
    groups.get(member.group).push(member);
  }
  return [...groups.keys()].sort(ORDER.compare).flatMap((group) => [
    {heading: group, count: groups.get(group).length, key: `group ${group}`},
    ...groups.get(group).sort((a, b) => ORDER.compare(a.name, b.name)).map((member) =>
      ({member, key: member.name})),
  ]);
}

/** Show the view. */
export function membersView(content, context) {
  const {model, convergence, base, allowed} = context;
  let selected = "", readSet = null, heartbeat = null, asked = 0;
  const search = h("input", {type: "search", placeholder: "Search members", "aria-label": "Search members", oninput: draw});
  const count = h("span", {class: "count", role: "status"});
  const nothing = empty("The stack has no members.");
  const list = new VirtualList({
    role: "listbox", label: "Members", rowHeight: 32, class: "card", key: (row) => row.key,
    describe: (row) => ({heading: Boolean(row.heading), selected: row.member?.name === selected}),
    render, onselect: (row) => row.member && context.go("members", row.member.name),
  });
  const panel = h("aside", {class: "detail card", "aria-label": "Member", hidden: true});
  const layout = h("div", {class: "split"},
    h("div", {class: "list"}, h("div", {class: "bar-top"}, search, count), nothing, list.element), panel);
  show(content, layout);

  let followers = new Map();

  function progress(name) {
    const found = followers.get(name);
    if (!found) return null;
    return found.lags ? badge("lags", "busy") : badge("converged", "good");
  }

  /** Return what a member has applied and has to apply, as the revisions that the cursors contain. */
  function applied(name) {
    const found = followers.get(name);
    if (!found?.target) return "";
    const [has, wants] = [found.applied, found.target].map((cursor) => cursor?.split(".")[1]);
    return found.lags ? `applied ${has ?? "nothing"}, has to apply ${wants}` : `applied ${has}`;
  }

  function render(row) {
    if (row.heading) return [h("span", {class: "name"}, row.heading), h("span", {class: "aside"}, row.count)];
    const {member} = row;
    return [h("span", {class: "name"}, member.name), badge(member.state), progress(member.name),
      h("span", {class: "about"}, applied(member.name)),
      h("span", {class: "aside"}, ago(member.joined_at, "joined "))];
  }

  function draw() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    followers = new Map((convergence.value?.members ?? []).map((each) => [each.name, each]));
    const rows = memberRows(model.members.values(), words);
    list.set(rows);
    nothing.hidden = model.members.size > 0;
    list.element.hidden = model.members.size === 0;
    const found = rows.filter((row) => row.member).length;
    count.textContent = words.length ? `${found} of ${counted(model.members.size, "member")}` : counted(found, "member");
  }

  async function loadReadSet() {
    const turn = (asked += 1);
    const name = selected;
    readSet = null;
    try {
      const found = await call("GET", `${base}/${url("members", name, "read_set")}`);
      if (turn === asked) readSet = found;
    } catch {
      if (turn === asked) readSet = undefined;
    }
    if (turn === asked) detail();
  }

  async function loadHeartbeat() {
    const name = selected;
    if (!name || document.hidden) return;
    const found = await call("GET", `${base}/${url("members", name, "heartbeat")}`).catch(() => null);
    if (name !== selected) return;
    heartbeat = found && {...found, at: Date.now()};
    showHeartbeat();
  }

  const beat = h("span", {"data-key": "heartbeat"});
  function showHeartbeat() {
    const member = model.members.get(selected);
    if (!member) return;
    let text = member.ttl === null ? "has not joined yet" : `less than ${duration(member.ttl)} ago`;
    if (heartbeat?.age !== null && heartbeat?.generation === member.generation) {
      text = `${duration(heartbeat.age + (Date.now() - heartbeat.at) / 1000)} ago`;
    }
    setText(beat, text);
  }

  function remove(member) {
    confirm(`Remove ${member.name}?`, "The member departs, and the facts bound to it are deleted. Its agent joins again if it runs.",
      "Remove", async () => {
        await call("DELETE", `${base}/${url("members", member.name)}`, {query: {reason: "removed"}});
        context.go("members");
      });
  }

  async function runs(member) {
    const found = await attempt(() => call("GET", `${base}/${url("members", member.name, "actions")}`));
    if (!found) return;
    dialog(`Actions for ${member.name}`, (close) => [
      found.actions.length ? h("ul", {class: "plain"}, found.actions.map((each) => h("li", null,
        h("a", {href: context.href("actions", each.id), onclick: close}, each.hook), " ", badge(each.state), " ", ago(each.created_at))))
        : empty("No action waits for this member."),
      h("div", {class: "actions"}, button("Close", close))]);
  }

  function detail() {
    const member = model.members.get(selected);
    panel.hidden = !selected;
    if (!selected) return;
    const back = h("a", {class: "back", href: context.href("members")}, "All members");
    if (!member) {
      redraw(panel, back, h("h2", null, selected), empty("This member has departed or expired. The events have the reason."));
      return;
    }
    const found = followers.get(member.name);
    const facts = [...model.facts.keys()].filter((path) => path.startsWith(`nodes/${member.name}/`));
    showHeartbeat();
    redraw(panel, back, h("h2", null, member.name, " ", badge(member.state)),
      terms([
        ["Group", member.group],
        ["Joined", ago(member.joined_at)],
        ["Changed", [ago(member.updated_at), ` by ${member.updated_by}`]],
        ["Heartbeat", beat],
        ["Expires", member.ttl ? `${duration(member.ttl)} after its last heartbeat` : null],
        ["Applied", found ? [progress(member.name), " ", h("code", null, found.applied ?? "nothing")] : null],
        ["Target", found && h("code", null, found.target ?? "nothing")],
        ["Declared as", member.declared],
        ["Reason", member.reason],
        ["Generation", h("code", null, member.generation)],
        ["Reads", readSet === undefined ? "everything; it has no read set" : readSet && readSetText(readSet)],
      ]),
      h("h3", null, "Attributes"), block(format(member.attributes, 2), "Attributes"),
      h("h3", null, `Facts (${facts.length})`),
      h("ul", {class: "plain"}, facts.slice(0, 50).map((path) =>
        h("li", {"data-key": path}, h("a", {href: context.href("facts", path)}, path.slice(`nodes/${member.name}/`.length))))),
      facts.length > 50 && h("p", {class: "small"}, `and ${facts.length - 50} more`),
      h("div", {class: "actions"}, button("Actions", () => runs(member)), button("Why it ran", () => showWhy(base, member.name)),
        allowed.has("delete_member") && button("Remove", () => remove(member), {class: "quiet"})));
  }

  function readSetText(found) {
    const {digest: _, ...parts} = found;
    return block(format(parts, 2), "Read set", "small");
  }

  draw();
  const timer = setInterval(() => list.refresh(), 10_000); // ages
  const beats = setInterval(loadHeartbeat, HEARTBEAT_MS);
  return {
    move: (rest) => {
      const wanted = rest[0] ?? "";
      layout.dataset.detail = wanted ? "open" : "";
      if (wanted !== selected) {
        selected = wanted;
        heartbeat = null;
        show(panel); // the buttons of another member are others
        loadHeartbeat();
        if (selected) loadReadSet();
      }
      list.refresh();
      list.reveal(selected);
      detail();
    },
    update: (changed) => {
      if (changed.has("members")) draw();
      if (changed.has("members") || (changed.has("tree") && selected)) detail();
    },
    side: () => {
      draw();
      list.refresh();
      detail();
    },
    close: () => {
      clearInterval(timer);
      clearInterval(beats);
      list.close();
    },
  };
}
