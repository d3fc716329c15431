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
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === undefined || value === null) continue;
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (PROPERTIES.has(name)) element[name] = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  add(element, children);
  return element;
}

/** Append children: elements, texts, and lists of them; null and false are left out. */
export function add(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return element;
}

/** Replace the children of an element. */
export function show(element, ...children) {
  element.replaceChildren();
  return add(element, children);
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
