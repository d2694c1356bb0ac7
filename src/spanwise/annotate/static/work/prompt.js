/** What the responses answer: a prompt, or the turns of a conversation with the tools that were called. */

import { t } from "../messages.js";
import { Offsets } from "../text/offsets.js";
import { TextPane } from "../text/pane.js";
import { visible } from "../text/invisible.js";
import { html, useLayoutEffect, useRef } from "../vendor/preact-htm.js";

/** A text to read, with its Markdown. */
export function Shown({ text, kind = "" }) {
  const box = useRef(null);
  useLayoutEffect(() => {
    new TextPane(box.current, new Offsets(text));
  }, [text]);
  return html`<div class="text ${kind}" ref=${box}></div>`;
}

export function Prompt({ item }) {
  const turns = item.messages ?? [];
  if (!turns.length) return html`<h2 class="pane-title">${t("Prompt")}</h2><${Shown} text=${item.prompt} kind="prompt" />`;
  return html`<h2 class="pane-title">${t("Conversation")}</h2><ol class="turns">${turns.map((turn) => html`<${Turn} turn=${turn} />`)}</ol>
    ${item.tools?.length > 0 && html`<details class="tools"><summary>${t("Tools")}: ${item.tools.map(nameOf).join(", ")}</summary><pre>${visible(JSON.stringify(item.tools, null, 2))}</pre></details>`}`;
}

const nameOf = (tool) => visible((tool.function ?? tool).name ?? "tool");

function Turn({ turn }) {
  const { role, content, reasoning_content: thought, tool_calls: calls = [] } = turn;
  return html`<li class="turn ${["user", "assistant", "system", "tool"].includes(role) ? role : ""}"><strong class="role">${visible(role)}${turn.name ? html` <code>${visible(turn.name)}</code>` : null}</strong>
    ${thought && html`<details><summary>${t("Reasoning")}</summary><${Shown} text=${thought} /></details>`}
    ${content && html`<${Shown} text=${content} />`}
    ${calls.map((call) => html`<pre class="call"><strong>${nameOf(call)}</strong> ${visible(argumentsOf(call))}</pre>`)}</li>`;
}

/** Arguments come as an object or as its JSON text. */
function argumentsOf(call) {
  const given = (call.function ?? call).arguments ?? {};
  return typeof given === "string" ? given : JSON.stringify(given, null, 2);
}
