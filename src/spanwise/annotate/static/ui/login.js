/** Logging in again without leaving the page, so that the work in it goes on. */

import { logIn, lookAgain } from "../api.js";
import { t } from "../messages.js";
import { html, render, useState } from "../vendor/preact-htm.js";
import { Dialog } from "./dialog.js";

let box = null;

/** Asks for name and password, once however often it is called. */
export function askForLogin() {
  if (box) return;
  box = document.createElement("div");
  document.body.append(box);
  render(html`<${Login} done=${close} />`, box);
}

function close() {
  render(null, box);
  box.remove();
  box = null;
}

function Login({ done }) {
  const [error, setError] = useState("");
  const attempt = (work) => async (event) => {
    event.preventDefault();
    try {
      await work(event);
      done();
    } catch (problem) {
      setError(problem.detail || problem.message);
    }
  };
  const send = attempt((event) => logIn(event.target.elements.name.value, event.target.elements.password.value));
  return html`<${Dialog} title=${t("You are logged out")} onClose=${done}>
    <p>${t("Your work is kept on this device. Log in to go on here.")}</p>
    <form class="stack" onSubmit=${send}>
      <label>${t("Name")} <input name="name" autocomplete="username" required autofocus /></label>
      <label>${t("Password")} <input name="password" type="password" autocomplete="current-password" required /></label>
      <button class="primary">${t("Log in")}</button>
    </form>
    ${error && html`<p class="notice bad" role="alert">${error}</p>`}
    <p class="muted small">${t("No password? Open your one-time address in another tab, then")} <button type="button" class="small-button" onClick=${attempt(lookAgain)}>${t("go on here")}</button>.</p><//>`;
}
