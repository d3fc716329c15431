// Facts as a tree: pure functions from a set of paths to the rows that are visible.

import {preview} from "./json.js";

/** Return a tree of folders and facts; each node has a name, a path, children, and a count of facts. */
export function build(paths) {
  const root = {name: "", path: "", children: new Map(), fact: false, count: 0};
  for (const path of paths) {
    let node = root;
    root.count += 1;
    let at = 0;
    for (;;) {
      const end = path.indexOf("/", at);
      const name = end < 0 ? path.slice(at) : path.slice(at, end);
      let child = node.children.get(name);
      if (!child) {
        const whole = end < 0 ? path : path.slice(0, end);
        child = {name, path: whole, children: new Map(), fact: false, count: 0};
        node.children.set(name, child);
      }
      child.count += 1;
      node = child;
      if (end < 0) break;
      at = end + 1;
    }
    node.fact = true;
  }
  return root;
}

const COLLATOR = new Intl.Collator("en", {numeric: true});

/** Return the visible rows of a tree, in order: folders that are open show their children. */
export function rows(root, isOpen) {
  const found = [];
  const visit = (node, depth) => {
    node.sorted ??= [...node.children.values()].sort((a, b) => COLLATOR.compare(a.name, b.name));
    node.sorted.forEach((child, index) => {
      const open = !child.fact && isOpen(child.path);
      found.push({node: child, depth, open, position: index + 1, size: node.sorted.length});
      if (open) visit(child, depth + 1);
    });
  };
  visit(root, 1);
  return found;
}

/** Return the paths of facts that contain all words of a search, in their path, value or author. */
export function search(facts, words, textOf = searchText) {
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
  const found = [];
  for (const fact of facts.values()) {
    const text = textOf(fact);
    if (wanted.every((word) => text.includes(word))) found.push(fact.path);
  }
  return found;
}

const texts = new WeakMap();
function searchText(fact) {
  let text = texts.get(fact);
  if (text === undefined) {
    text = `${fact.path} ${preview(fact.value, 400)} ${fact.kind} ${fact.updated_by}`.toLowerCase();
    texts.set(fact, text);
  }
  return text;
}

/** Return the folders above a path, the outermost first. */
export function ancestors(path) {
  const found = [];
  for (let at = path.indexOf("/"); at >= 0; at = path.indexOf("/", at + 1)) found.push(path.slice(0, at));
  return found;
}
