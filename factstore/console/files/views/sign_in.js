// The sign-in: a password or a token, which the service exchanges for a cookie.

import {call} from "../lib/api.js";
import {h, show} from "../lib/dom.js";
import {button, field} from "../lib/parts.js";

/** Show the form; `done` is called when somebody has signed in. */
export function signIn(main, notice, done) {
  const problem = h("p", {class: "problem", role: "alert", hidden: !notice}, notice);
  const form = h("form", {class: "card sign-in", "aria-labelledby": "sign-in-title", onsubmit: submit});
  let byToken = false;

  const input = (name, more = {}) => h("input", {name, required: true, spellcheck: "false", autocapitalize: "none",
    maxlength: 255, ...more});

  function build() {
    show(form,
      h("h1", {id: "sign-in-title"}, "Sign in"),
      problem,
      byToken
        ? field("Token", h("textarea", {name: "token", required: true, rows: 5, spellcheck: "false",
            autocomplete: "off"}), "A Keystone token for a project, such as from: openstack token issue")
        : [field("User", input("user", {autocomplete: "username"})),
          field("Password", input("password", {type: "password", autocomplete: "current-password",
            maxlength: 4096})),
          field("Project", input("project")),
          h("details", null, h("summary", null, "Domains"),
            field("Domain of the user", input("user_domain", {value: "Default"})),
            field("Domain of the project", input("project_domain", {value: "Default"})))],
      h("div", {class: "actions"},
        button(byToken ? "Use a password" : "Use a token", () => {
          byToken = !byToken;
          build();
          form.elements[0].focus();
        }, {class: "quiet"}),
        h("button", {type: "submit", class: "primary"}, "Sign in")));
  }

  async function submit(event) {
    event.preventDefault();
    const body = {};
    for (const [name, value] of new FormData(form)) body[name] = name === "password" ? value : value.trim();
    const act = form.querySelector("[type=submit]");
    act.disabled = true;
    problem.hidden = true;
    try {
      await call("POST", "console/session", {body: JSON.stringify(body)});
      done();
    } catch (error) {
      problem.hidden = false;
      show(problem, error.message);
      act.disabled = false;
      form.querySelector("[name=password],[name=token]").focus();
    }
  }

  build();
  show(main, form);
  form.elements[0].focus();
}
