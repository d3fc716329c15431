"use strict";

// Swagger UI encodes the slashes of a path; factstore needs them unencoded.
function withSlashes(request) {
  const url = new URL(request.url, document.baseURI);
  const at = url.pathname.indexOf("/facts/");
  if (at >= 0) {
    url.pathname = url.pathname.slice(0, at) + url.pathname.slice(at).replaceAll(/%2F/gi, "/");
    request.url = url.href;
  }
  return request;
}

SwaggerUIBundle({
  dom_id: "#swagger-ui",
  url: "openapi.json",
  validatorUrl: null, // it would send the document to somebody else
  deepLinking: true,
  displayRequestDuration: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  requestInterceptor: withSlashes,
});
