// The frame of the console: who is signed in, which page is shown, and the way back.

import {call, onSignedOut} from "./lib/api.js";
import {announce, h, setText, show} from "./lib/dom.js";
import {button} from "./lib/parts.js";
import {signIn} from "./views/sign_in.js";
import {stackPage} from "./views/stack.js";
import {stacksPage} from "./views/stacks.js";
import {subscriptionsPage} from "./views/subscriptions.js";

const top = document.getElementById("top"), main = document.getElementById("main");
let session = null;
let page = null;

/** Return the parts of the address after `#/`, decoded. */
function route() {
  const hash = location.hash.replace(/^#\/?/, "");
  try {
    return hash.split("/").map(decodeURIComponent);
  } catch {
    return [""];
  }
}

function link(text, target, current) {
  return h("a", {href: target, "aria-current": current ? "page" : undefined}, text);
}

function header(names, chip) {
  const crumbs = names[0] === "stacks" && names[1]
    ? [link("Stacks", "#/", false), h("span", {class: "crumb", "aria-current": "page"}, names[1])]
    : [link("Stacks", "#/", names[0] !== "subscriptions")];
  show(top,
    h("a", {class: "brand", href: "#/"}, "factstore"),
    h("nav", {"aria-label": "Pages"}, crumbs,
      names[0] === "stacks" ? null : link("Subscriptions", "#/subscriptions", names[0] === "subscriptions")),
    h("div", {class: "side"}, chip,
      session && session.auth !== "none" && h("span", {class: "who"}, `${session.user} · ${session.project}`),
      session && session.auth !== "none" && button("Sign out", signOut)));
}

async function signOut() {
  try {
    await call("DELETE", "console/session");
  } catch (error) {
    announce(error.message, "bad");
    return;
  }
  session = null;
  await open();
}

async function ended() {
  if (!session) return;
  session = null;
  await open("Your session has ended. Sign in again to continue here.");
}

let opening = 0;
async function open(notice = "") {
  const turn = (opening += 1);
  if (!session) {
    page?.close?.();
    page = null;
    try {
      session = await call("GET", "console/session");
    } catch (error) {
      if (turn !== opening) return;
      header([]);
      const reason = error.status === 401 ? notice : error.message;
      document.title = "Sign in · factstore";
      signIn(main, reason, () => open());
      return;
    }
    if (turn !== opening) return;
  }
  const names = route();
  if (page?.names?.[0] === names[0] && page?.names?.[1] === names[1] && page.move) {
    page.names = names;
    page.move(names);
    return;
  }
  page?.close?.();
  const chip = h("span", {class: "chip", id: "connection", role: "status"});
  header(names, chip);
  const context = {session, chip: (state, text) => {
    chip.dataset.state = state;
    setText(chip, text);
  }};
  if (names[0] === "stacks" && names[1]) page = stackPage(main, names, context);
  else if (names[0] === "subscriptions") page = subscriptionsPage(main, context);
  else page = stacksPage(main, context);
  page.names = names;
}

document.getElementById("skip").addEventListener("click", (event) => {
  event.preventDefault(); // the address names the page
  main.focus();
});
onSignedOut(ended);
addEventListener("hashchange", () => open());
open();
