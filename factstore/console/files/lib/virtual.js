// A list of any length of which only the visible rows are elements, and which the keyboard operates.

import {h, redraw} from "./dom.js";

const MARGIN = 8; // rows above and below the visible ones
const MOST_PIXELS = 8_000_000; // browsers cannot show taller elements
let lists = 0;

/**
 * A list in an element that scrolls.
 *
 * `options` has: role (tree or listbox), label, rowHeight, render(row, index) that returns the children of
 * a row, describe(row) that returns its attributes, key(row), and the functions onselect(row),
 * onopen(row) and onkey(event, row), of which all but the first two can be left out.
 */
export class VirtualList {
  #rows = [];
  #elements = new Map();
  #active = 0;
  #frame = 0;
  #pressed = null;

  constructor(options) {
    this.options = options;
    this.id = `list-${(lists += 1)}`;
    this.spacer = h("div", {role: "none", class: "spacer"});
    this.element = h("div", {
      role: options.role, "aria-label": options.label, tabindex: 0, class: `virtual ${options.class ?? ""}`,
      onscroll: () => this.#later(), onkeydown: (event) => this.#key(event),
      onpointerdown: (event) => { this.#pressed = {row: this.#rowAt(event), x: event.clientX, y: event.clientY}; },
      onclick: (event) => this.#click(event),
    }, this.spacer);
    this.observer = new ResizeObserver(() => this.#later());
    this.observer.observe(this.element);
  }

  get rows() {
    return this.#rows;
  }

  get active() {
    return this.#rows[this.#active];
  }

  /** Replace the rows; the active row stays the one with the same key. */
  set(rows) {
    const key = this.options.key;
    const former = key && this.active !== undefined ? key(this.active) : undefined;
    this.#rows = rows;
    if (former !== undefined) {
      const at = rows.findIndex((row) => key(row) === former);
      if (at >= 0) this.#active = at;
    }
    this.#active = Math.max(0, Math.min(this.#active, rows.length - 1));
    const height = Math.min(MOST_PIXELS, rows.length * this.options.rowHeight);
    this.spacer.style.setProperty("height", `${height}px`);
    this.refresh();
  }

  /** Show the present rows again, whose contents may have changed. */
  refresh() {
    for (const element of this.#elements.values()) element.dataset.stale = "1";
    this.#render();
  }

  /** Make the row with a key the active one, and scroll to it. */
  reveal(wanted) {
    const at = this.#rows.findIndex((row) => this.options.key(row) === wanted);
    if (at >= 0) this.#activate(at);
  }

  #later() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.#render();
    });
  }

  #render() {
    const {rowHeight} = this.options, count = this.#rows.length;
    const top = this.element.scrollTop, height = this.element.clientHeight || 600;
    const first = Math.max(0, Math.floor(top / rowHeight) - MARGIN);
    const last = Math.min(count, Math.ceil((top + height) / rowHeight) + MARGIN);
    for (const [index, element] of this.#elements) {
      if (index < first || index >= last) {
        element.remove();
        this.#elements.delete(index);
      }
    }
    for (let index = first; index < last; index += 1) this.#place(index);
    if (this.#elements.has(this.#active)) {
      this.element.setAttribute("aria-activedescendant", `${this.id}-${this.#active}`);
    } else {
      this.element.removeAttribute("aria-activedescendant");
    }
  }

  #place(index) {
    let element = this.#elements.get(index);
    const {options} = this, row = this.#rows[index];
    if (!element) {
      element = h("div", {id: `${this.id}-${index}`, class: "row",
        role: options.role === "tree" ? "treeitem" : "option"});
      element.style.setProperty("transform", `translateY(${index * options.rowHeight}px)`);
      element.style.setProperty("height", `${options.rowHeight}px`);
      element.dataset.index = index;
      element.dataset.stale = "1";
      const after = this.#elements.get(index + 1);
      this.spacer.insertBefore(element, after ?? null);
      this.#elements.set(index, element);
    }
    element.classList.toggle("active", index === this.#active);
    if (element.dataset.stale === "1") {
      element.dataset.stale = "";
      const attributes = options.describe?.(row) ?? {};
      element.setAttribute("aria-selected", String(Boolean(attributes.selected)));
      for (const name of ["aria-expanded", "aria-level", "aria-setsize", "aria-posinset"]) {
        if (attributes[name] === undefined) element.removeAttribute(name);
        else element.setAttribute(name, attributes[name]);
      }
      element.classList.toggle("selected", Boolean(attributes.selected));
      element.classList.toggle("heading", Boolean(attributes.heading));
      redraw(element, options.render(row, index));
    }
  }

  #activate(index) {
    if (!this.#rows.length) return;
    this.#active = Math.max(0, Math.min(index, this.#rows.length - 1));
    const {rowHeight} = this.options, top = this.#active * rowHeight;
    const {scrollTop, clientHeight} = this.element;
    if (top < scrollTop) this.element.scrollTop = top;
    else if (top + rowHeight > scrollTop + clientHeight) {
      this.element.scrollTop = top + rowHeight - clientHeight;
    }
    this.#render();
  }

  #click(event) {
    const {row, x, y} = this.#pressed ?? {};
    this.#pressed = null;
    // Rows can move between the press and the release. A program, such as a screen reader, clicks without a press.
    const still = row && Math.hypot(event.clientX - x, event.clientY - y) < this.options.rowHeight / 2;
    const chosen = still ? row : this.#rowAt(event);
    if (!chosen) return;
    const {key} = this.options;
    const at = key ? this.#rows.findIndex((each) => key(each) === key(chosen)) : this.#rows.indexOf(chosen);
    if (at >= 0) this.#activate(at);
    this.options.onselect?.(chosen, event);
  }

  #rowAt(event) {
    const element = event.target.closest(".row");
    return element && this.#rows[Number(element.dataset.index)];
  }

  #key(event) {
    if (event.ctrlKey || event.altKey || event.metaKey || event.target !== this.element) return;
    const page = Math.max(1, Math.floor(this.element.clientHeight / this.options.rowHeight) - 1);
    const steps = {ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity};
    if (event.key in steps) this.#activate(this.#active + steps[event.key]);
    else if ((event.key === "Enter" || event.key === " ") && this.active) {
      this.options.onselect?.(this.active, event);
    } else if (!this.active || !this.options.onkey?.(event, this.active)) return;
    event.preventDefault();
  }

  close() {
    this.observer.disconnect();
    cancelAnimationFrame(this.#frame);
  }
}
