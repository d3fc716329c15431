// Where the members of a stack are drawn: a box for each group, in it a grid of nodes.

const ORDER = new Intl.Collator("en", {numeric: true});
const SMALL_GROUP = 8;
const HEADING = 22, PAD = 12, GAP = 14;
const MOST_SPACING = 92, LEAST_SPACING = 9;

/**
 * Return boxes of groups and places of nodes in a picture of a size.
 *
 * Small groups share the first rows, and each large group has rows of its own whose height follows from
 * its number of members.
 */
export function layOut(members, width, height, top = 0) {
  const groups = new Map();
  for (const member of members) {
    if (!groups.has(member.group)) groups.set(member.group, []);
    groups.get(member.group).push(member.name);
  }
  const sorted = [...groups].map(([name, names]) => ({name, names: names.sort(ORDER.compare)}))
    .sort((a, b) => (a.names.length > SMALL_GROUP) - (b.names.length > SMALL_GROUP) || ORDER.compare(a.name, b.name));
  const lines = [];
  let small = [];
  for (const group of sorted) {
    if (group.names.length > SMALL_GROUP) lines.push([group]);
    else {
      const wanted = small.reduce((sum, each) => sum + each.names.length, group.names.length);
      if (small.length && (wanted > SMALL_GROUP * 2 || small.length >= 4)) {
        lines.unshift(small);
        small = [];
      }
      small.push(group);
    }
  }
  if (small.length) lines.unshift(small);
  const spacing = largestSpacing(lines, width, height - top);
  const boxes = [], places = new Map();
  let y = top;
  for (const line of lines) {
    const heights = line.map((group) => boxHeight(group, boxWidth(line, group, width), spacing));
    const tall = Math.max(...heights);
    let x = 0;
    for (const group of line) {
      const wide = boxWidth(line, group, width);
      boxes.push({name: group.name, count: group.names.length, x, y, width: wide, height: tall});
      fillBox(group, x, y, wide, spacing, places);
      x += wide + GAP;
    }
    y += tall + GAP;
  }
  return {boxes, places, spacing, height: y};
}

function boxWidth(line, group, width) {
  const whole = line.reduce((sum, each) => sum + Math.max(2, each.names.length), 0);
  return (width - GAP * (line.length - 1)) * (Math.max(2, group.names.length) / whole);
}

function columns(wide, spacing) {
  return Math.max(1, Math.floor((wide - 2 * PAD) / spacing));
}

function boxHeight(group, wide, spacing) {
  return HEADING + PAD + Math.ceil(group.names.length / columns(wide, spacing)) * spacing;
}

function largestSpacing(lines, width, height) {
  for (let spacing = MOST_SPACING; spacing > LEAST_SPACING; spacing -= 1) {
    let whole = 0;
    for (const line of lines) {
      whole += GAP + Math.max(...line.map((group) => boxHeight(group, boxWidth(line, group, width), spacing)));
    }
    if (whole <= height) return spacing;
  }
  return LEAST_SPACING;
}

function fillBox(group, x, y, wide, spacing, places) {
  const across = columns(wide, spacing);
  const used = Math.min(across, group.names.length);
  const left = x + (wide - used * spacing) / 2;
  group.names.forEach((name, index) => {
    places.set(name, {
      x: left + (index % across + 0.5) * spacing,
      y: y + HEADING + (Math.floor(index / across) + 0.5) * spacing,
      group: group.name,
    });
  });
}

/** Return the radius of nodes with a spacing. */
export function radiusOf(spacing) {
  return Math.max(3, Math.min(15, spacing * 0.3));
}

/** Return the name of the node at a point, or null. */
export function nodeAt(places, x, y, radius) {
  let best = null, least = (radius + 4) ** 2;
  for (const [name, place] of places) {
    const distance = (place.x - x) ** 2 + (place.y - y) ** 2;
    if (distance <= least) [best, least] = [name, distance];
  }
  return best;
}

/**
 * Return the edges of a document of waits: from who waits to each owner, and whether it is in a circle.
 *
 * What is no member, such as a waiter, waits from the place of the stack, whose name is empty.
 */
export function edgesOf(waits, places) {
  if (!waits) return [];
  const circular = new Set(waits.circles.flatMap((circle) =>
    circle.steps.map((step) => `${step.wait} ${step.owner?.member ?? ""}`)));
  const edges = new Map();
  for (const wait of waits.waits) {
    const from = waiting(wait.who);
    for (const owner of wait.owners ?? []) {
      if (from === owner || (from && !places.has(from)) || !places.has(owner)) continue;
      const key = `${from} ${owner}`;
      const edge = edges.get(key) ?? {from, to: owner, circle: false};
      edge.circle ||= circular.has(`${wait.id} ${owner}`);
      edges.set(key, edge);
    }
  }
  return [...edges.values()].sort((a, b) => a.circle - b.circle);
}

function waiting(who) {
  if (who.member) return who.member;
  return who.configuration ? who.configuration.split("/")[0] : "";
}

/** Return what is waited for, in words. */
export function goalOf(goal) {
  if (goal.turn) return `its turn in queue ${goal.turn}`;
  if (goal.group) return goal.group === "*" ? "members" : `members of group ${goal.group}`;
  if (goal.signals) return "signals";
  return goal.member ? `member ${goal.member}` : nameOf(goal);
}

/** Return what a party of a wait is, in words. */
export function nameOf(party) {
  const [[kind, name]] = Object.entries(party ?? {unknown: ""});
  if (kind === "member") return name;
  if (kind === "readers") return `${name} readers`;
  return kind === "path" ? name : `${kind} ${name}`;
}
