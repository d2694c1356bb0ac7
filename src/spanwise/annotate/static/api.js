/** Requests to our own server: JSON in, JSON out, and an error that carries the server's sentence. */

const BUILD = document.documentElement.dataset.build ?? "";

export class ApiError extends Error {
  constructor(status, body) {
    super(body?.detail ?? "The server could not be reached.");
    this.status = status;
    this.detail = body?.detail ?? "";
    this.body = body;
  }
}

/** @param {string} method @param {string} path @param {any} [body] */
export async function api(method, path, body, { keepalive = false, signal } = {}) {
  const headers = { accept: "application/json", "x-spanwise-build": BUILD };
  if (body !== undefined) headers["content-type"] = "application/json";
  const response = await fetch(path, {
    method,
    headers,
    body: body === undefined ? undefined : JSON.stringify(body),
    keepalive,
    signal,
    credentials: "same-origin",
  });
  const text = await response.text();
  const answer = text ? parsed(text) : null;
  if (!response.ok) throw new ApiError(response.status, answer);
  return answer;
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return { detail: "The server sent an answer that could not be read." };
  }
}

/** What the server wrote into the page for this script. */
export function pageData() {
  return JSON.parse(document.getElementById("page-data").textContent);
}
