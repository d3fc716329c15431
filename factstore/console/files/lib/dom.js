// Elements are built from text nodes and attributes only, so no value can become markup.

const SVG = "http://www.w3.org/2000/svg";
const PROPERTIES = new Set(["value", "checked", "disabled", "hidden", "open", "selected"]);

/** Return an element. Functions among the properties are listeners, such as `onclick`. */
export function h(tag, properties, ...children) {
  return fill(document.createElement(tag), properties, children);
}

/** Return an element of SVG. */
export function svg(tag, properties, ...children) {
  return fill(document.createElementNS(SVG, tag), properties, children);
}

function fill(element, properties, children) {
  set(element, properties ?? {});
  add(element, children);
  return element;
}

const built = new WeakMap(); // of an element: the properties that it has from here

/** Set the properties that differ from those of the last time; what a person did, such as opening details, remains. */
function set(element, properties) {
  const former = built.get(element) ?? {};
  for (const name of new Set([...Object.keys(former), ...Object.keys(properties)])) {
    const before = former[name] ?? null, value = properties[name] ?? null;
    if (value === before) continue;
    if (typeof (value ?? before) === "function") {
      if (before) element.removeEventListener(name.slice(2), before);
      if (value) element.addEventListener(name.slice(2), value);
    } else if (PROPERTIES.has(name)) element[name] = value ?? (name === "value" ? "" : false);
    else if (name === "style") for (const [each, text] of Object.entries(value ?? {})) element.style.setProperty(each, text);
    else if (value === null) element.removeAttribute(name);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  built.set(element, properties);
}

function nodes(children) {
  return children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false)
    .map((child) => child instanceof Node ? child : document.createTextNode(String(child)));
}

/** Append children: elements, texts, and lists of them; null and false are left out. */
export function add(element, children) {
  element.append(...nodes(children));
  return element;
}

/** Replace the children of an element. */
export function show(element, ...children) {
  element.replaceChildren(...nodes(children));
  return element;
}

/**
 * Change the children of an element into new ones.
 *
 * What is equal stays the same element, with the focus, a press that has begun, the selected text and the
 * place to which it was scrolled. Give the items of a list `data-key`. An element that the caller keeps, and
 * shows again, needs one, too.
 */
export function redraw(element, ...children) {
  const focused = document.activeElement;
  change(element, nodes(children));
  if (focused !== document.activeElement && element.contains(focused)) focused.focus({preventScroll: true});
}

/** Return what two elements have in common if one can become the other. */
function mark(node) {
  if (!(node instanceof Element)) return node.nodeName;
  // A button or a link that is being pressed must not become another one.
  const {key} = node.dataset, text = key === undefined && node.localName === "button" ? node.textContent : "";
  return [node.localName, key ?? "", node.getAttribute("href") ?? "", text].join("\n");
}

function change(element, wanted) {
  const shown = new Set(wanted), former = new Map();
  for (const node of element.childNodes) {
    if (shown.has(node)) continue;
    const key = mark(node);
    if (former.has(key)) former.get(key).push(node);
    else former.set(key, [node]);
  }
  const kept = wanted.map((node) => {
    const found = node.parentNode === element ? null : former.get(mark(node))?.shift();
    if (!found) return node;
    if (!(node instanceof Element)) {
      if (found.data !== node.data) found.data = node.data;
    } else {
      set(found, built.get(node) ?? {});
      change(found, [...node.childNodes]);
    }
    return found;
  });
  for (const rest of former.values()) for (const node of rest) node.remove();
  let next = element.firstChild;
  for (const node of kept) {
    if (next && next !== node && next.nextSibling === node) { // move one that is further down now, not all others
      next.remove();
      next = node;
    }
    if (next === node) next = node.nextSibling;
    else element.insertBefore(node, next);
  }
}

/** Change the text of an element only if it differs, which keeps selections. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

let shown;
/** Show a message for some seconds, which screen readers announce. */
export function announce(text, kind = "info") {
  const box = document.getElementById("messages");
  show(box, h("p", {class: `message ${kind}`}, text));
  clearTimeout(shown);
  shown = setTimeout(() => box.replaceChildren(), 8000);
}

/** Call a function at most once per frame; also in a hidden tab, which has no frames. */
export function eachFrame(run) {
  let due = false;
  return () => {
    if (due) return;
    due = true;
    const go = () => {
      due = false;
      run();
    };
    if (document.hidden) setTimeout(go, 250);
    else requestAnimationFrame(go);
  };
}

/** Call a function some time after the last call, and at the latest after four times that. */
export function settled(milliseconds, run) {
  let timer, since = 0;
  return () => {
    const now = performance.now();
    since ||= now;
    clearTimeout(timer);
    const left = Math.max(0, Math.min(milliseconds, since + 4 * milliseconds - now));
    timer = setTimeout(() => {
      since = 0;
      run();
    }, left);
  };
}
