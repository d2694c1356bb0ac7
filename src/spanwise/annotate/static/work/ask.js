/** Questions to the manager about the item on the page: what one asked so far, with the answers, and a new one. */

import { api } from "../api.js";
import { t } from "../messages.js";
import { Dialog } from "../ui/dialog.js";
import { html, useEffect, useState } from "../vendor/preact-htm.js";

export function Ask({ store, close }) {
  const path = `/api/v1/items/${encodeURIComponent(store.item.id)}/questions`;
  const [threads, setThreads] = useState([]);
  const [content, setContent] = useState("");
  const [error, setError] = useState("");
  const say = (problem) => setError(problem.detail || problem.message);
  const own = (thread) => setThreads((before) => [thread, ...before.filter((one) => one.id !== thread.id)]);
  useEffect(() => {
    api("GET", `/api/v1/questions?item_id=${encodeURIComponent(store.item.id)}`).then((page) => setThreads(page.rows), say);
  }, []);
  const send = (event) => {
    event.preventDefault();
    setError("");
    api("POST", path, { content }).then((thread) => {
      own(thread);
      setContent("");
    }, say);
  };
  return html`<${Dialog} title=${t("Questions about this item")} onClose=${close}>
    ${threads.map((thread) => html`<article class="thread" key=${thread.id}><p dir="auto">${thread.content}</p>
      ${thread.answers.map((answer) => html`<p class="answer" dir="auto"><strong>${answer.by}</strong> ${answer.content}</p>`)}
      ${!thread.answers.length && html`<p class="muted small">${t("No answer yet.")}</p>`}</article>`)}
    <form onSubmit=${send}>
      <label>${t("Ask the manager")} <textarea required rows="3" maxlength="4000" value=${content} autofocus onInput=${(event) => setContent(event.target.value)}></textarea></label>
      ${error && html`<p class="caution" role="alert">${error}</p>`}
      <div class="buttons"><button class="primary">${t("Send")}</button><button type="button" onClick=${close}>${t("Close")}</button></div>
      <p class="muted small">${t("Only you and the managers see it. You can go on meanwhile; the answer stands here and under Questions.")}</p>
    </form><//>`;
}
