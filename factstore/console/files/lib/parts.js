// Small parts that several views share.

import {announce, h, show} from "./dom.js";
import {age, moment} from "./time.js";

const GOOD = ["ready", "met", "ok", "complete", "active", "holding", "live", "converged"];
const BAD = ["failed", "timed_out", "alarm", "lost", "disabled", "suspended", "stuck", "never"];
const BUSY = ["joining", "pending", "in_progress", "waiting", "draining", "due", "no_data", "paused", "deleting",
  "lags", "cancelled"];

/** Return the kind of a state: good, bad, busy or plain. */
export function kindOf(state) {
  if (GOOD.includes(state)) return "good";
  if (BAD.includes(state)) return "bad";
  return BUSY.includes(state) ? "busy" : "plain";
}

/** Return a state as a small label; its text has the meaning of its colour. */
export function badge(state, kind = kindOf(state)) {
  return h("span", {class: `badge ${kind}`}, String(state).replaceAll("_", " "));
}

/** Return a time as its age, with the moment as a title. */
export function ago(timestamp, prefix = "") {
  return h("time", {datetime: timestamp, title: moment(timestamp)}, prefix, age(timestamp), " ago");
}

/** Return a bar for a part of a whole. */
export function bar(value, whole, label) {
  const share = whole > 0 ? Math.min(1, value / whole) : 0;
  const inner = h("span", {class: "fill", style: {"inline-size": `${share * 100}%`}});
  return h("span", {class: "bar", role: "progressbar", "aria-label": label, "aria-valuemin": 0,
    "aria-valuemax": whole, "aria-valuenow": Math.min(value, whole)}, inner);
}

/** Return names and values as a list of terms; entries with null values are left out. */
export function terms(entries) {
  return h("dl", {class: "terms"}, entries.filter(([, value]) => value !== null && value !== undefined && value !== "")
    .map(([name, value]) => h("div", {"data-key": name}, h("dt", null, name), h("dd", null, value))));
}

/** Return a text block that scrolls; it can be focused, so that the keyboard scrolls it, too. */
export function block(text, label, more = "") {
  return h("pre", {class: `block ${more}`, tabindex: 0, role: "region", "aria-label": label}, text);
}

/** Return a button. */
export function button(text, onclick, properties = {}) {
  return h("button", {type: "button", onclick, ...properties}, text);
}

/** Return a labelled input. */
export function field(label, control, hint) {
  return h("label", {class: "field"}, h("span", null, label), control, hint && h("small", null, hint));
}

/** Show a dialog; `build(close)` returns its content. The focus returns to where it was. */
export function dialog(title, build, properties = {}) {
  const from = document.activeElement;
  const heading = h("h2", {id: "dialog-title"}, title);
  const element = h("dialog", {"aria-labelledby": "dialog-title", ...properties});
  const close = () => element.close();
  element.addEventListener("close", () => {
    element.remove();
    from?.focus?.();
  });
  show(element, heading, build(close));
  document.body.append(element);
  element.showModal();
  return {element, close};
}

/** Ask before something is deleted; `run` does it, and its refusal is shown in the dialog. */
export function confirm(title, text, action, run) {
  return dialog(title, (close) => {
    const problem = h("p", {class: "problem", role: "alert", hidden: true});
    const act = button(action, async () => {
      act.disabled = true;
      try {
        await run();
        close();
      } catch (error) {
        problem.hidden = false;
        show(problem, error.message);
        act.disabled = false;
      }
    }, {class: "danger"});
    return [h("p", null, text), problem,
      h("div", {class: "actions"}, button("Cancel", close), act)];
  });
}

/** Run something, and report its failure. */
export async function attempt(run) {
  try {
    return await run();
  } catch (error) {
    if (error.name !== "AbortError") announce(error.message, "bad");
    return undefined;
  }
}

/** Return a number with its noun, such as `1 member` and `1,000 members`. */
export function counted(number, noun) {
  return `${number.toLocaleString()} ${noun}${number === 1 ? "" : "s"}`;
}

/** Return a text for an empty list. */
export function empty(text) {
  return h("p", {class: "empty"}, text);
}
