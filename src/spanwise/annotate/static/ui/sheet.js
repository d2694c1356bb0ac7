/** The key sheet: the table of keys as the person has them. */

import { KEYS, hint } from "../keys.js";
import { t } from "../messages.js";
import { html } from "../vendor/preact-htm.js";
import { Dialog } from "./dialog.js";

export function KeySheet({ groups, onClose }) {
  return html`<${Dialog} title=${t("Keys")} onClose=${onClose} wide>
    <div class="sheet">
      ${groups.map((group) => html`<section>
        <h3>${t(group)}</h3>
        <dl>
          ${KEYS.filter((entry) => entry.group === group).map((entry) => html`<div><dt>${t(entry.label)}</dt><dd><kbd>${hint(entry.id)}</kbd></dd></div>`)}
        </dl>
      </section>`)}
    </div>
    <p class="muted small">${t("Keys can be changed, and single letters switched off, under Settings.")} <a href="/settings">${t("Settings")}</a></p>
  <//>`;
}
