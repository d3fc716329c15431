"use strict";

// Swagger UI encodes the slashes of a path; factstore needs them unencoded. No other name contains one.
function withSlashes(request) {
  const url = new URL(request.url, document.baseURI);
  url.pathname = url.pathname.replaceAll(/%2F/gi, "/");
  request.url = url.href;
  return request;
}

// What newcomers use first is at the top, and the rest follows by name.
const FIRST = ["facts", "batch", "context", "events", "stacks", "members", "waiters"];
function byUse(one, other) {
  const [left, right] = [one, other].map((name) => (FIRST.indexOf(name) + FIRST.length + 1) % (FIRST.length + 1));
  return left - right || one.localeCompare(other);
}

SwaggerUIBundle({
  dom_id: "#swagger-ui",
  url: "openapi.json",
  validatorUrl: null, // it would send the document to somebody else
  deepLinking: true,
  displayRequestDuration: true,
  docExpansion: "list",
  tagsSorter: byUse,
  defaultModelsExpandDepth: 0,
  requestInterceptor: withSlashes,
});
