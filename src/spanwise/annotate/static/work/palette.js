/** The categories with their keys, counts and guideline card. */

import { shown } from "../keys.js";
import { t } from "../messages.js";
import { html } from "../vendor/preact-htm.js";

/** From how many categories on a field to find one is worth its place. */
const MANY = 12;

export function Palette({ store, commands }) {
  const { ui, answer } = store;
  const missingMode = ui.mode?.kind === "missing";
  const spans = store.categories("span");
  const missing = store.categories("missing");
  const needle = (ui.finding ?? "").trim().toLowerCase();
  const fits = (category) => !needle || category.label.toLowerCase().includes(needle) || category.name.toLowerCase().includes(needle);
  const named = store.currentSpan?.category ?? ui.card ?? ui.sticky ?? spans[0]?.name;
  const counted = (name, list) => list.filter((one) => one.category === name).length;
  return html`<div class="palette" aria-label=${t("Categories")} role="group">
    <h2 class="pane-title">${t("Categories")}</h2>
    ${spans.length + missing.length > MANY && html`<input class="find" type="search" placeholder=${t("Find a category")} aria-label=${t("Find a category")} value=${ui.finding ?? ""} onInput=${(event) => store.show({ finding: event.target.value })} />`}
    ${spans.map((category, index) => fits(category) && html`<${Entry} key=${category.name} category=${category} digit=${keyOf(category, index)} count=${counted(category.name, answer.spans)}
      sticky=${ui.sticky === category.name} active=${store.currentSpan?.category === category.name} choose=${() => commands.label(category.name)} look=${() => store.show({ card: category.name })} />`)}
    ${missing.length > 0 && html`
      <h2 class="pane-title">${t("Missing")} <kbd>M</kbd></h2>
      ${missing.map((category, index) => fits(category) && html`<${Entry} key=${category.name} category=${category} digit=${missingMode && index < 9 ? index + 1 : ""} count=${counted(category.name, answer.missing)}
        active=${missingMode} choose=${() => commands.addMissing(category.name)} look=${() => store.show({ card: category.name })} />`)}`}
    <${Card} category=${store.category(named)} />
    ${asksForReading(store) && html`<label class="check"><input type="checkbox" checked=${store.doc.answers.read_passages === "yes"}
      onChange=${(event) => store.act({ type: "answer", key: "read_passages", value: event.target.checked ? "yes" : "no" })} /> ${t("I have read all passages")}</label>`}
  </div>`;
}

/** The key that labels: the category's own, else its number among the first nine. */
function keyOf(category, index) {
  return category.hotkey ? shown(category.hotkey) : index < 9 ? index + 1 : "";
}

function Entry({ category, digit, count, sticky, active, choose, look }) {
  return html`<button type="button" class=${["category", sticky && "sticky", active && "active", category.polarity === "positive" && "positive"].filter(Boolean).join(" ")} style=${{ "--colour": category.colour }}
    aria-pressed=${sticky || active} data-category=${category.name} onClick=${choose} onMouseEnter=${look} onFocus=${look}>
    <span class="swatch"></span><span class="name">${category.label}</span>
    ${sticky && html`<span class="tag">${t("kept")}</span>`}
    <span class="count">${count || ""}</span>${digit && html`<kbd>${digit}</kbd>`}
  </button>`;
}

function Card({ category }) {
  if (!category?.description) return null;
  const needs = { evidence: t("Link the sentence that shows it."), antecedent: t("Choose what it repeats."), comment: t("Say why."), reading: t("Read all passages first.") }[category.needs];
  return html`<div class="card" style=${{ "--colour": category.colour }}>
    <strong>${category.label}</strong>
    <p>${category.description}</p>
    ${category.examples?.length > 0 && html`<ul>${category.examples.map((example) => html`<li>${example}</li>`)}</ul>`}
    ${needs && html`<p class="muted">${needs}</p>`}
  </div>`;
}

/** Whether a span on screen claims that no passage holds something. */
export function asksForReading(store) {
  return store.answer.spans.some((span) => store.category(span.category).needs === "reading");
}
