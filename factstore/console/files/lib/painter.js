// Draws the picture on a canvas: groups, members, waits, and ripples of changes and of whom they wake.

import {radiusOf} from "./layout.js";

const RIPPLE_MS = 1400, PULSE_MS = 900;
const MOST_EFFECTS = 600;

/** The colours of the page, which differ between dark and light. */
export function colours(element) {
  const style = getComputedStyle(element);
  const read = (name) => style.getPropertyValue(`--${name}`).trim();
  return Object.fromEntries(["text", "faint", "line", "panel", "accent", "good", "busy", "bad", "plain"]
    .map((name) => [name, read(name)]));
}

/** Draws frames while something moves, and one after each change. */
export class Painter {
  scene = {boxes: [], places: new Map(), spacing: 40, height: 0};
  edges = [];
  kinds = new Map(); // of a member: good, busy, bad or plain
  hollow = new Set();
  focus = null;
  stack = null; // the place of facts that belong to no member
  #effects = [];
  #frame = 0;

  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.calm = matchMedia("(prefers-reduced-motion: reduce)");
    this.dark = matchMedia("(prefers-color-scheme: dark)");
    this.recolour = () => {
      this.palette = null;
      this.draw();
    };
    this.dark.addEventListener("change", this.recolour);
  }

  /** Show that something has changed at a place. */
  ripple(place, kind = "accent") {
    this.#add({type: "ripple", place, kind, begin: performance.now(), length: RIPPLE_MS});
  }

  /** Show that a change at one place wakes a member at another. */
  pulse(from, to) {
    if (!this.calm.matches) {
      this.#add({type: "pulse", from, to, begin: performance.now(), length: PULSE_MS});
    }
    this.#add({type: "wake", place: to, begin: performance.now() + (this.calm.matches ? 0 : PULSE_MS), length: RIPPLE_MS});
  }

  get moving() {
    return this.#effects.length;
  }

  #add(effect) {
    if (this.#effects.length >= MOST_EFFECTS) this.#effects.shift();
    this.#effects.push(effect);
    this.draw();
  }

  /** Draw soon. */
  draw() {
    if (document.hidden) {
      this.#effects = [];
      return;
    }
    this.#frame ||= requestAnimationFrame((now) => {
      this.#frame = 0;
      this.#paint(now);
      if (this.#effects.length) this.draw();
    });
  }

  /** Set the size in pixels of the page. */
  resize(width, height) {
    const ratio = devicePixelRatio || 1;
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(height * ratio);
    this.canvas.style.setProperty("height", `${height}px`);
    this.width = width;
    this.height = height;
    this.context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.draw();
  }

  close() {
    cancelAnimationFrame(this.#frame);
    this.dark.removeEventListener("change", this.recolour);
  }

  #paint(now) {
    const {context: c, scene} = this;
    const palette = (this.palette ??= colours(this.canvas));
    this.#effects = this.#effects.filter((each) => now < each.begin + each.length);
    c.clearRect(0, 0, this.width, this.height);
    c.lineWidth = 1;
    for (const box of scene.boxes) {
      c.strokeStyle = palette.line;
      c.fillStyle = palette.panel;
      c.beginPath();
      c.roundRect(box.x + 0.5, box.y + 0.5, Math.max(0, box.width - 1), Math.max(0, box.height - 1), 8);
      c.fill();
      c.stroke();
      c.fillStyle = palette.faint;
      c.font = "12px system-ui, sans-serif";
      c.textAlign = "left";
      c.textBaseline = "top";
      c.fillText(clip(c, `${box.name} · ${box.count}`, box.width - 20), box.x + 10, box.y + 7);
    }
    if (this.stack) this.#hub(palette);
    for (const edge of this.edges) this.#edge(edge, palette);
    for (const each of this.#effects) if (each.type === "pulse") this.#pulse(each, now, palette);
    this.#nodes(palette);
    for (const each of this.#effects) if (each.type !== "pulse") this.#ripple(each, now, palette);
    if (this.focus && scene.places.has(this.focus)) this.#ring(this.focus, palette);
  }

  #hub(palette) {
    const {context: c} = this, {x, y} = this.stack;
    c.fillStyle = palette.plain;
    c.beginPath();
    c.moveTo(x, y - 8);
    c.lineTo(x + 8, y);
    c.lineTo(x, y + 8);
    c.lineTo(x - 8, y);
    c.fill();
    c.fillStyle = palette.faint;
    c.font = "12px system-ui, sans-serif";
    c.textAlign = "left";
    c.textBaseline = "middle";
    c.fillText("the stack", x + 14, y);
  }

  #nodes(palette) {
    const {context: c, scene} = this;
    const radius = radiusOf(scene.spacing), labels = scene.spacing >= 44;
    c.font = "11px system-ui, sans-serif";
    c.textAlign = "center";
    c.textBaseline = "top";
    for (const [name, {x, y}] of scene.places) {
      const colour = palette[this.kinds.get(name) ?? "plain"];
      c.beginPath();
      c.arc(x, labels ? y - 6 : y, radius, 0, 2 * Math.PI);
      if (this.hollow.has(name)) {
        c.lineWidth = 2;
        c.strokeStyle = colour;
        c.stroke();
        c.lineWidth = 1;
      } else {
        c.fillStyle = colour;
        c.fill();
      }
      if (labels) {
        c.fillStyle = palette.text;
        c.fillText(clip(c, name, scene.spacing - 6), x, y - 6 + radius + 4);
      }
    }
  }

  #at(place) {
    const labels = this.scene.spacing >= 44;
    return place === this.stack || !labels ? place : {x: place.x, y: place.y - 6};
  }

  #edge({from, to, circle}, palette) {
    const {context: c, scene} = this;
    const begin = from ? scene.places.get(from) : this.stack, end = scene.places.get(to);
    if (!begin || !end) return;
    const a = this.#at(begin), b = this.#at(end);
    const [mx, my] = bend(a, b);
    c.strokeStyle = circle ? palette.bad : palette.busy;
    c.globalAlpha = circle ? 1 : this.edges.length > 60 ? 0.2 : 0.6;
    c.lineWidth = circle ? 2 : 1;
    c.beginPath();
    c.moveTo(a.x, a.y);
    c.quadraticCurveTo(mx, my, b.x, b.y);
    c.stroke();
    const angle = Math.atan2(b.y - my, b.x - mx), radius = radiusOf(scene.spacing) + 1;
    const tip = {x: b.x - Math.cos(angle) * radius, y: b.y - Math.sin(angle) * radius};
    c.fillStyle = c.strokeStyle;
    c.beginPath();
    c.moveTo(tip.x, tip.y);
    for (const side of [0.4, -0.4]) {
      c.lineTo(tip.x - Math.cos(angle + side) * 7, tip.y - Math.sin(angle + side) * 7);
    }
    c.fill();
    c.globalAlpha = 1;
    c.lineWidth = 1;
  }

  #pulse({from, to, begin, length}, now, palette) {
    const {context: c} = this, a = this.#at(from), b = this.#at(to);
    const share = Math.max(0, Math.min(1, (now - begin) / length));
    const [mx, my] = bend(a, b), rest = 1 - share;
    const x = rest * rest * a.x + 2 * rest * share * mx + share * share * b.x;
    const y = rest * rest * a.y + 2 * rest * share * my + share * share * b.y;
    c.fillStyle = palette.accent;
    c.beginPath();
    c.arc(x, y, 2.5, 0, 2 * Math.PI);
    c.fill();
  }

  #ripple({type, place, kind, begin, length}, now, palette) {
    if (now < begin) return;
    const {context: c} = this, {x, y} = this.#at(place);
    const share = this.calm.matches ? 0.3 : (now - begin) / length;
    const radius = radiusOf(this.scene.spacing);
    c.strokeStyle = palette[kind ?? "accent"];
    c.globalAlpha = this.calm.matches ? 1 : 1 - share;
    c.lineWidth = 2;
    c.beginPath();
    c.arc(x, y, radius + (type === "wake" ? 5 : 16) * share + 1, 0, 2 * Math.PI);
    c.stroke();
    c.globalAlpha = 1;
    c.lineWidth = 1;
  }

  #ring(name, palette) {
    const {context: c, scene} = this, {x, y} = this.#at(scene.places.get(name));
    c.strokeStyle = palette.text;
    c.lineWidth = 2;
    c.beginPath();
    c.arc(x, y, radiusOf(scene.spacing) + 4, 0, 2 * Math.PI);
    c.stroke();
    c.lineWidth = 1;
  }
}

function bend(a, b) {
  const dx = b.x - a.x, dy = b.y - a.y;
  return [(a.x + b.x) / 2 - dy * 0.18, (a.y + b.y) / 2 + dx * 0.18];
}

function clip(context, text, width) {
  if (context.measureText(text).width <= width) return text;
  let length = text.length;
  while (length > 1 && context.measureText(`${text.slice(0, length)}…`).width > width) length -= 1;
  return `${text.slice(0, length)}…`;
}
