// The subscriptions of the project, with the health of their deliveries.

import {call, list, url} from "../lib/api.js";
import {h, show} from "../lib/dom.js";
import {ago, attempt, badge, button, dialog, empty, terms} from "../lib/parts.js";
import {keyedCards} from "./waiters.js";

const REFRESH_MS = 5000;

function health(subscription) {
  const {delivery} = subscription;
  if (subscription.state !== "active") return badge(subscription.state);
  return delivery.failing_since ? badge("failing", "bad") : badge("healthy", "good");
}

async function deliveries(subscription) {
  const path = `v1/${url("subscriptions", subscription.id, "deliveries")}`;
  const found = await attempt(() => call("GET", path));
  if (!found) return;
  dialog(`Deliveries of ${subscription.name || subscription.id}`, (close) => [
    found.deliveries.length
      ? h("table", null,
        h("thead", null, h("tr", null, ["When", "Kind", "Events", "Attempts", "Outcome", "Time"].map(
          (text) => h("th", {scope: "col"}, text)))),
        h("tbody", null, found.deliveries.map((each) => h("tr", null,
          h("td", null, ago(each.at)), h("td", null, each.kind), h("td", null, each.events),
          h("td", null, each.attempts),
          h("td", null, badge(each.delivered ? "delivered" : "failed", each.delivered ? "good" : "bad"),
            ` ${each.status ?? ""} ${each.error ?? ""}`),
          h("td", null, `${each.latency_ms} ms`)))))
      : empty("Nothing was delivered yet."),
    h("div", {class: "actions"}, button("Close", close)),
  ], {class: "wide"});
}

function card(subscription) {
  const {delivery} = subscription;
  return [
    h("h2", null, subscription.name || subscription.id, " ", health(subscription)),
    terms([
      ["Target", subscription.target],
      ["Stacks", subscription.stacks.join(", ") || "all"],
      ["Types", subscription.types.join(", ") || "all"],
      ["Reason", subscription.reason],
      ["Delivered", delivery.delivered],
      ["Failed attempts", delivery.failed],
      ["Failing since", delivery.failing_since && ago(delivery.failing_since)],
      ["Last error", delivery.last_error],
      ["Next attempt", delivery.next_attempt_at],
    ]),
    button("Deliveries", () => deliveries(subscription)),
  ];
}

/** Show the page. */
export function subscriptionsPage(main, {session, chip}) {
  document.title = "Subscriptions · factstore";
  const cards = h("div", {class: "cards"});
  const nothing = empty("The project has no subscriptions.");
  nothing.hidden = true;
  async function load() {
    const found = await list("v1/subscriptions", "subscriptions");
    nothing.hidden = found.length > 0;
    keyedCards(cards, found, (each) => each.id, card);
  }
  show(main, h("div", {class: "page"}, h("div", {class: "bar-top"}, h("h1", null, "Subscriptions")),
    session.allowed.includes("list_subscriptions") ? [nothing, cards] : empty("Policy does not allow you to list subscriptions.")));
  chip("plain", "");
  if (!session.allowed.includes("list_subscriptions")) return {};
  attempt(load);
  const timer = setInterval(() => document.hidden || attempt(load), REFRESH_MS);
  return {close: () => clearInterval(timer)};
}
