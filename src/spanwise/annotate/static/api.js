/**
 * Requests to our own server: JSON in, JSON out, and an error that carries the server's sentence. None waits for ever:
 * what has no answer in time has failed, with status 0, and whether the server did it is not known.
 */

import { t } from "./messages.js";

const { build: BUILD = "", user: USER = "" } = document.documentElement.dataset;
const PATIENCE = 15_000;

/** Told to the window when the server no longer knows who asks, and when somebody has logged in again. */
export const LOGGED_OUT = "spanwise:logged-out";
export const LOGGED_IN = "spanwise:logged-in";

export class ApiError extends Error {
  constructor(status, body) {
    super(body?.detail ?? t("The server could not be reached."));
    this.status = status;
    this.detail = body?.detail ?? "";
    this.body = body;
  }
}

/** @param {string} method @param {string} path @param {any} [body] */
export async function api(method, path, body, { keepalive = false, patience = PATIENCE } = {}) {
  const headers = { accept: "application/json", "x-spanwise-build": BUILD };
  if (body !== undefined) headers["content-type"] = "application/json";
  const [response, text] = await answered(path, {
    method,
    headers,
    body: body === undefined ? undefined : JSON.stringify(body),
    keepalive,
    signal: AbortSignal.timeout(patience),
    credentials: "same-origin",
  });
  const answer = text ? parsed(text) : null;
  if (response.status === 401 && path !== SESSION) window.dispatchEvent(new CustomEvent(LOGGED_OUT));
  if (!response.ok) throw new ApiError(response.status, answer);
  return answer;
}

async function answered(path, request) {
  try {
    const response = await fetch(path, request);
    return [response, await response.text()];
  } catch (error) {
    const late = error.name === "TimeoutError";
    throw new ApiError(0, { detail: late ? t("The server does not answer.") : t("The server cannot be reached.") });
  }
}

/** Asks again when there was no answer, or the server said when to; only for what may be asked twice. */
export async function persistently(ask, { tries = 3, pause = 1000 } = {}) {
  for (let count = 1; ; count += 1) {
    try {
      return await ask();
    } catch (error) {
      if (count >= tries || (error.status && !error.body?.retry_after)) throw error;
      await new Promise((resolve) => setTimeout(resolve, pause * count));
    }
  }
}

const SESSION = "/api/v1/session";

/** Logs in within the page; raises ApiError with what was wrong. */
export async function logIn(name, password) {
  const { user_id: id } = await api("POST", SESSION, { name, password });
  loggedIn(id);
}

/** Looks whether somebody has logged in meanwhile, in another tab. */
export async function lookAgain() {
  const { user_id: id } = await api("GET", SESSION);
  loggedIn(id);
}

/** The page goes on only for the person whose work it holds. */
function loggedIn(id) {
  if (id !== USER) throw new ApiError(403, { detail: t("That is another account. Log in as the person whose work this page holds.") });
  window.dispatchEvent(new CustomEvent(LOGGED_IN));
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return { detail: t("The server sent an answer that could not be read.") };
  }
}

/** What the server wrote into the page for this script. */
export function pageData() {
  return JSON.parse(document.getElementById("page-data").textContent);
}
