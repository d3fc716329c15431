// Values of facts as people read them.

import {diffLines} from "./diff.js";
import {h} from "./dom.js";
import {format} from "./json.js";

/** Return what people read of a fact's value. */
export function valueText(fact) {
  if (!fact) return "";
  return fact.sensitive && fact.value === null ? "(sensitive)" : format(fact.value, 2);
}

/** Return the lines of two texts as a block with marks. */
export function difference(before, after, label) {
  const marks = {same: "  ", added: "+ ", removed: "− "};
  return h("pre", {class: "block diff", tabindex: 0, role: "region", "aria-label": label},
    diffLines(before, after).map(({kind, text}) => h("span", {class: kind}, `${marks[kind]}${text}\n`)));
}
