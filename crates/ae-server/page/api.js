// The REST API of the server.

/// What went wrong, in words for the user. `status` is 0 where the server did not answer; `field` is the field of a request
/// that is to blame, if it is one.
export class ApiError extends Error {
  constructor(message, status, field) {
    super(message);
    this.status = status;
    this.field = field;
  }
}

async function call(method, path, body, type = "application/json") {
  const options = { method };
  if (body !== undefined) {
    options.headers = { "Content-Type": type };
    options.body = type === "application/json" ? JSON.stringify(body) : body;
  }
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new ApiError("The server does not answer. Is `ae serve` still running?", 0);
  }
  if (response.status === 204) return null;
  const answer = await response.json().catch(() => ({}));
  if (!response.ok)
    throw new ApiError(
      answer.error ?? `The server answered with status ${response.status}.`,
      response.status,
      answer.field,
    );
  return answer;
}

const job = (id) => `/api/jobs/${encodeURIComponent(id)}`;
const entry = (id) => `/api/gallery/${encodeURIComponent(id)}`;

export const api = {
  info: () => call("GET", "/api/info"),
  schema: () => call("GET", "/api/schema"),
  models: () => call("GET", "/api/models"),
  devices: () => call("GET", "/api/devices"),
  bringImage: (file) => call("POST", "/api/images", file, file.type),
  imageUrl: (sha256) => `/api/images/${encodeURIComponent(sha256)}`,
  tokens: (request) => call("POST", "/api/tokens", request),
  generate: (request) => call("POST", "/api/generate", request),
  texts: (request) => call("POST", "/api/texts", request),
  jobs: () => call("GET", "/api/jobs"),
  job: (id) => call("GET", job(id)),
  cancel: (id) => call("DELETE", job(id)),
  events: (id) => new EventSource(`${job(id)}/events`),
  gallery: (limit, before) => {
    const query = new URLSearchParams(before ? { limit, before } : { limit });
    return call("GET", `/api/gallery?${query}`);
  },
  entry: (id) => call("GET", entry(id)),
  record: (id) => call("GET", `${entry(id)}/run.json`),
  remove: (id) => call("DELETE", entry(id)),
  readSettings: (png) => call("POST", "/api/settings", png, "image/png"),
  pictureUrl: (id) => `${entry(id)}/picture.png`,
  plainUrl: (id) => `${entry(id)}/plain.png`,
  reportUrl: (id) => `${entry(id)}/report.html`,
};
