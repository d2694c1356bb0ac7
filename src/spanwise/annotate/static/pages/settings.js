/** Settings: kept in this browser, taken over at once. */

import { pageData } from "../api.js";
import { KEYS, hint, keysOf, namesOf, projectKeys, saveSettings, settings } from "../keys.js";
import { t } from "../messages.js";
import { html, render } from "../vendor/preact-htm.js";
import { LOOK, look, wear } from "./shell.js";

projectKeys(pageData().hotkeys);
const form = document.getElementById("look");
const LEFT_HAND = { "caret.left": ["s"], "caret.right": ["f"], "extend.left": ["Shift+s"], "extend.right": ["Shift+f"], "caret.up": ["e"], "caret.down": ["d"], evidence: ["w"], remove: ["q", "Delete", "Backspace"], no_errors: ["r", "0"] };

function showLook() {
  const now = look();
  form.size.value = now.size ?? "";
  form.theme.value = now.theme ?? "";
  form.contrast.checked = Boolean(now.contrast);
  form.still.checked = Boolean(now.still);
  form.mono.checked = Boolean(now.mono);
  form.source.checked = Boolean(now.source);
  form.letters.checked = settings().letters;
}

form.addEventListener("change", () => {
  const chosen = { size: form.size.value, theme: form.theme.value, contrast: form.contrast.checked, still: form.still.checked, mono: form.mono.checked, source: form.source.checked };
  localStorage.setItem(LOOK, JSON.stringify(chosen));
  saveSettings({ ...settings(), letters: form.letters.checked });
  wear(chosen);
});

let waiting = null;

function change(id) {
  waiting = id;
  draw();
}

document.addEventListener("keydown", (event) => {
  if (!waiting || ["Shift", "Control", "Alt", "Meta"].includes(event.key)) return;
  event.preventDefault();
  const own = settings();
  if (event.key !== "Escape") saveSettings({ ...own, keys: { ...own.keys, [waiting]: [namesOf(event)[0]] } });
  waiting = null;
  draw();
}, true);

function preset(keys) {
  saveSettings({ ...settings(), keys });
  draw();
}

document.getElementById("left-hand").addEventListener("click", () => preset(LEFT_HAND));
document.getElementById("usual").addEventListener("click", () => preset({}));

/** Other actions of the same place that answer to the same key. */
function clash(entry) {
  const keys = keysOf(entry);
  const near = (other) => other.group === entry.group || [other.group, entry.group].includes("Everywhere");
  return KEYS.find((other) => other !== entry && near(other) && keysOf(other).some((key) => keys.includes(key)));
}

function draw() {
  const groups = [...new Set(KEYS.map((entry) => entry.group))];
  const table = html`${groups.map((group) => html`<h3>${t(group)}</h3><table class="key-table"><tbody>
    ${KEYS.filter((entry) => entry.group === group).map((entry) => {
      const other = clash(entry);
      return html`<tr><td>${t(entry.label)}</td><td class="left"><kbd>${waiting === entry.id ? t("press a key") : hint(entry.id)}</kbd> ${other && html`<span class="caution">${t("also")}: ${t(other.label)}</span>`}</td>
        <td><button type="button" class="quiet" aria-label=${t("Change the key of: {action}", { action: t(entry.label) })} onClick=${() => change(entry.id)}>${t("Change")}</button></td></tr>`;
    })}</tbody></table>`)}`;
  render(table, document.getElementById("keys"));
}

showLook();
draw();
