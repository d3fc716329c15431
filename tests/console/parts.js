// Tests of the console's modules that need no service; the result is the list of what is wrong.
(async () => {
  const from = (name) => import(new URL(`lib/${name}.js`, document.baseURI));
  const [tree, diff, json, layout, stream, model, dom] =
    await Promise.all(["tree", "diff", "json", "layout", "stream", "model", "dom"].map(from));
  const wrong = [];
  const equal = (name, found, wanted) => {
    const [one, other] = [found, wanted].map((each) => JSON.stringify(each));
    if (one !== other) wrong.push(`${name}: ${one} instead of ${other}`);
  };

  // The tree
  const root = tree.build(["b/c10/x", "b/c9/x", "a", "b/c9/y"]);
  const shown = (open) => tree.rows(root, open).map((row) => `${row.depth} ${row.node.name}`);
  equal("closed", shown(() => false), ["1 a", "1 b"]);
  equal("open", shown(() => true), ["1 a", "1 b", "2 c9", "3 x", "3 y", "2 c10", "3 x"]);
  equal("count", root.children.get("b").count, 3);
  equal("ancestors", tree.ancestors("a/b/c"), ["a", "a/b"]);
  const fact = (path, value) => [path, {path, value, kind: "observed", updated_by: "u"}];
  const facts = new Map([fact("a/b", "One"), fact("c", {two: [2]})]);
  equal("search", [tree.search(facts, "one A/"), tree.search(facts, '"two"'), tree.search(facts, "no")],
    [["a/b"], ["c"], []]);

  // Differences: what was removed and added rebuilds both texts, also for long ones.
  let seed = 7;
  const random = (most) => (seed = (seed * 1103515245 + 12345) % 2147483648) % most;
  for (let turn = 0; turn < 60; turn += 1) {
    const text = () => Array.from({length: random(turn)}, () => "abc"[random(3)]).join("\n");
    const [before, after] = [text(), text()], lines = diff.diffLines(before, after);
    const side = (kind) => lines.filter((line) => ["same", kind].includes(line.kind))
      .map((line) => line.text).join("\n");
    if (side("removed") !== before || side("added") !== after) wrong.push(`diff of ${before} and ${after}`);
  }
  equal("one change", diff.diffLines("a\nb\nc", "a\nx\nc").map((line) => line.kind), ["same", "removed", "added", "same"]);

  // JSON keeps the text of numbers.
  for (const text of ["1.0", "9007199254740993", "-9223372036854775808", "1e400", "0", "1", "[1.50,{\"a\":-0}]",
    "null", "\"\\u2028<\""]) {
    equal(`number ${text}`, json.format(json.parse(text)).replace("\u2028", "\\u2028"), text);
  }
  equal("indented", json.format({a: [1, {}], b: []}, 2), '{\n  "a": [\n    1,\n    {}\n  ],\n  "b": []\n}');
  equal("same", [json.same({a: 1, b: 2}, {b: 2, a: 1}), json.same(json.parse("1.0"), 1)], [true, false]);

  // The layout: any number of members fits its boxes, and nodes do not overlap.
  for (const [number, width] of [[1, 320], [40, 1200], [200, 1200], [1000, 1200], [1000, 340]]) {
    const members = [{name: "head", group: "head"}, {name: "share", group: "share"},
      ...Array.from({length: number}, (_, at) => ({name: `c${at}`, group: "compute"}))];
    const found = layout.layOut(members, width, 560, 34), radius = layout.radiusOf(found.spacing);
    equal(`places of ${number}`, found.places.size, number + 2);
    const places = [...found.places.values()], cells = new Map();
    for (const place of places) {
      const box = found.boxes.find((each) => each.name === place.group);
      if (place.x < box.x || place.x > box.x + box.width || place.y < box.y || place.y > box.y + box.height) {
        wrong.push(`${number} on ${width}: a node is outside of its box`);
        break;
      }
      const cell = `${Math.round(place.x / radius)} ${Math.round(place.y / radius)}`;
      if (cells.has(cell)) wrong.push(`${number} on ${width}: two nodes are at one place`);
      cells.set(cell, place);
    }
    if (number <= 200 && found.height > 600) wrong.push(`${number} on ${width} are ${found.height} high`);
    if (number === 200 && found.spacing < 40) wrong.push(`200 members are too small: ${found.spacing}`);
    const [[first, place]] = found.places;
    equal("the node under the pointer", layout.nodeAt(found.places, place.x + 1, place.y, radius), first);
  }
  const places = new Map(["a", "b", "c"].map((name) => [name, {x: 0, y: 0}]));
  const waits = {
    waits: [{id: "1", who: {member: "a"}, owners: ["b"]}, {id: "2", who: {configuration: "b/app"}, owners: ["a", "c"]},
      {id: "3", who: {waiter: "w"}, owners: ["a"]}, {id: "4", who: {member: "c"}, owners: ["gone"]}],
    circles: [{steps: [{wait: "1", owner: {member: "b"}}, {wait: "2", owner: {member: "a"}}]}],
  };
  equal("edges", layout.edgesOf(waits, places).map((each) => `${each.from} ${each.to} ${each.circle}`),
    ["b c false", " a false", "a b true", "b a true"]);

  // Frames that arrive in any pieces are the same frames.
  const text = ": ping\n\nid: e.1\nevent: change\ndata: {\"a\":\ndata: 1}\n\nevent: goodbye\r\nretry: 700\r\ndata: {}\r\n\r\n";
  const whole = new stream.FrameParser().push(text);
  for (let size = 1; size < 9; size += 1) {
    const parser = new stream.FrameParser(), frames = [];
    for (let start = 0; start < text.length; start += size) frames.push(...parser.push(text.slice(start, start + size)));
    equal(`pieces of ${size}`, frames, whole);
  }
  equal("frames", whole.map((each) => [each.event, each.id, each.retry, each.data]),
    [["change", "e.1", undefined, '{"a":\n1}'], ["goodbye", undefined, 700, "{}"]]);
  for (let turn = 0; turn < 20; turn += 1) {
    const pause = stream.pauseBefore(turn);
    if (pause < 250 || pause > 10_000) wrong.push(`a pause of ${pause}`);
  }

  // A stream that breaks in its snapshot begins again; after that it resumes; after a reset it begins again.
  const frame = (event, data, id) => `${id ? `id: ${id}\n` : ""}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
  const put = (path, value) => ({type: "fact.put", path, fact: {path, value}});
  const part = (...paths) => ({facts: paths.map((path) => ({path, value: 0})), members: [], waiters: [], alarms: []});
  const bodies = [
    frame("snapshot", part("old")),
    frame("snapshot", part("a")) + frame("bookmark", {}, "e.5") +
      frame("change", {cursor: "e.6", changes: [put("b", 1)]}, "e.6") + "event: change\nid: e.7\ndata: {\"cur",
    frame("change", {cursor: "e.7", changes: [put("c", 1)]}, "e.7") + frame("goodbye", {}),
    frame("reset", {detail: "The history is gone."}) + frame("snapshot", part("d")) + frame("bookmark", {}, "f.1"),
  ];
  const asked = [], states = [];
  const fetched = window.fetch;
  const copy = new model.Model((run) => run);
  let read;
  await new Promise((resolve) => {
    window.fetch = (target, options) => {
      asked.push(options.headers["Last-Event-ID"] ?? "new");
      if (!bodies.length) return new Promise(() => resolve());
      return Promise.resolve(new Response(bodies.shift()));
    };
    read = new stream.Stream("v1/x", {clear: (detail) => copy.clear(detail), snapshot: (each) => copy.snapshot(each),
      synced: (cursor) => copy.synced(cursor), change: (event) => copy.change(event), state: (name) => states.push(name)});
    const hurry = setInterval(() => dispatchEvent(new Event("online")), 5);
    setTimeout(() => clearInterval(hurry), 20_000);
  });
  window.fetch = fetched;
  read.close();
  equal("cursors", asked, ["new", "new", "e.6", "e.7", "f.1"]);
  equal("facts", [...copy.facts.keys()], ["d"]);
  equal("events", copy.log.filter((each) => each.cursor).map((each) => each.cursor), ["e.6", "e.7"]);
  equal("the reset is shown", copy.log.filter((each) => each.changes[0].type === "reset").length, 1);

  // What is drawn again is what was asked for, and equal parts stay the same elements.
  const {h, redraw} = dom, pressed = [];
  const box = document.body.appendChild(h("section"));
  const draw = (names, text) => redraw(box, h("p", {class: text || null}, "All ", h("b", null, text)), names.map((name) =>
    h("article", {"data-key": name}, h("details", null, h("summary", null, text), name),
      h("button", {onclick: () => pressed.push(`${name} ${text}`)}, "Go"))), text && "the end");
  const parts = () => new Map([...box.querySelectorAll("article")].map((each) => [each.dataset.key, each]));
  for (let turn = 0; turn < 200; turn += 1) {
    const names = [..."abcdefgh"].filter(() => random(3)).sort(() => random(2) - 0.5), text = turn % 5 ? `t${turn}` : "";
    const before = parts(), buttons = [...box.querySelectorAll("button")];
    const focused = buttons.length ? buttons[random(buttons.length)] : null;
    focused?.focus();
    draw(names, text);
    const fresh = names.map((name) => `${text}${name}Go`).join("");
    equal(`turn ${turn}`, [box.textContent, box.firstChild.className], [`All ${text}${fresh}${text && "the end"}`, text]);
    for (const [name, element] of parts()) {
      if (before.has(name) && before.get(name) !== element) wrong.push(`turn ${turn}: ${name} is another element`);
    }
    if (focused?.isConnected && document.activeElement !== focused) wrong.push(`turn ${turn}: the focus is lost`);
  }
  draw(["a", "b"], "one");
  const [opened] = box.querySelectorAll("details"), [button] = box.querySelectorAll("button");
  opened.open = true;
  draw(["b", "a"], "two");
  button.click();
  equal("only the last listener runs", pressed, ["a two"]);
  equal("details stay open", opened.isConnected && opened.open, true);
  redraw(box, h("a", {href: "#/one"}, "x"), h("button", null, "Edit"));
  const others = [...box.children];
  redraw(box, h("a", {href: "#/two"}, "x"), h("button", null, "Delete"));
  equal("a link or a button does not become another one", others.filter((each) => each.isConnected), []);
  const own = h("i", {"data-key": "own"}, "own");
  redraw(box, h("p", null, own));
  redraw(box, h("p", null, own), own.cloneNode());
  equal("an element of the caller is shown itself", own.isConnected, true);
  box.remove();
  return wrong;
})()
