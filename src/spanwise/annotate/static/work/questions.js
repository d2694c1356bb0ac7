/** The project's own questions about an item: a choice, a step of a scale, or free text. */

import { t } from "../messages.js";
import { html } from "../vendor/preact-htm.js";

/** @param {{store: any, lanes?: {label: string, body: any}[]}} props `lanes` are what several people answered */
export function Questions({ store, lanes = [] }) {
  const { questions = [] } = store.project;
  if (!questions.length) return null;
  return html`<div class="questions"><h2 class="pane-title">${t("Questions")}</h2>
    ${questions.map((question) => html`<${Question} key=${question.key} store=${store} question=${question} said=${saidOf(lanes, question.key)} />`)}</div>`;
}

function saidOf(lanes, key) {
  return lanes.flatMap(({ label, body }) => body.answers.filter((one) => one.key === key).map(({ value }) => ({ label, value })));
}

function Question({ store, question, said }) {
  const { key, text, kind } = question;
  const value = store.doc.answers[key] ?? "";
  const set = (fresh, continues) => store.act({ type: "answer", key, value: fresh, continues });
  const steps = kind === "scale" ? Array.from({ length: question.steps }, (_, index) => String(index + 1)) : question.options;
  return html`<fieldset class="question ${kind}"><legend>${text}${question.required ? "" : html` <span class="muted">${t("(if you like)")}</span>`}</legend>
    ${kind === "text"
      ? html`<textarea class="whole" rows="2" dir="auto" aria-label=${text} value=${value} onInput=${(event) => set(event.target.value, `answer ${key}`)}></textarea>`
      : html`<div class="steps">${steps.map((step) => html`<label class="check"><input type="radio" name="question ${key}" checked=${value === step} onChange=${() => set(step)} /> <span>${step}</span></label>`)}</div>`}
    ${kind === "scale" && question.ends.some(Boolean) && html`<p class="muted small ends"><span>1: ${question.ends[0]}</span> <span>${question.steps}: ${question.ends[1]}</span></p>`}
    ${said.map((one) => html`<p class="cited"><strong>${one.label}</strong> <span dir="auto">${one.value}</span></p>`)}</fieldset>`;
}
