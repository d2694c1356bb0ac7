/**
 * Adjudication: the working page over one lane per annotator. What all agree on is taken over, the other marks are
 * accepted or rejected one by one, and the result is cut, labelled, edited and compared like any annotation. Decisions
 * are actions on the draft: saved on the server as they are made, undone one by one.
 */

import { api, pageData, persistently } from "../api.js";
import { judgeCommands, judgeKeys } from "../judge/commands.js";
import { Candidates, Details } from "../judge/candidates.js";
import { Lanes } from "../judge/lanes.js";
import { Comparisons, Edits } from "../judge/ways.js";
import { hint, listen, projectKeys } from "../keys.js";
import { t } from "../messages.js";
import { cautions } from "../state/cautions.js";
import { examined, problems } from "../state/checks.js";
import { newId } from "../state/ids.js";
import { beginning, candidatesOf, comparisonsOf, concluded, editsOf, reduceVerdict, verdictBody, wayTaken } from "../state/verdict.js";
import { announce } from "../ui/announce.js";
import { onceDrawn } from "../ui/drawn.js";
import { KeySheet } from "../ui/sheet.js";
import { html, render } from "../vendor/preact-htm.js";
import { saveText } from "../work/bar.js";
import { categoryKeys, evidenceMode, markCommands, markKeys } from "../work/commands.js";
import { CompareTab, compareCommands, compareKeys } from "../work/compare.js";
import { Dialogs, Notices } from "../work/dialogs.js";
import { Drafting } from "../work/drafting.js";
import { EditTab, editCommands, editKeys } from "../work/edit.js";
import { ResponsePane, SpanList } from "../work/mark.js";
import { Palette } from "../work/palette.js";
import { Passages } from "../work/passages.js";
import { Prompt, Shown } from "../work/prompt.js";
import { Questions } from "../work/questions.js";
import { Store } from "../work/store.js";

const given = pageData();
const { item, lanes, project, guidelines, user } = given;
const root = document.getElementById("island");
const path = `/api/v1/items/${encodeURIComponent(item.id)}/verdict`;
const TABS = [["spans", "mark", "Mark"], ["edit", "edit", "Edit"], ["preference", "compare", "Compare"]].filter(([task]) => project.tasks.includes(task));
const GROUPS = ["Everywhere", "Adjudicate", ...TABS.map(([, , label]) => label)];
const candidates = candidatesOf(lanes);
const comparisons = comparisonsOf(lanes);
const submissionId = newId();
projectKeys(project.hotkeys);

const claim = { draft: given.draft, response_order: item.responses.map((response) => response.key), numbered: true, suggestions: [] };
const store = new Store(project, item, claim, { reduce: reduceVerdict, base: beginning(given, candidates, item, project) });
const bodyOf = () => verdictBody(store.doc, item, project);
const drafting = new Drafting(store, { key: `${user.id}/verdict/${item.id}/${item.round}`, path: `${path}/draft`, draft: given.draft, bodyOf });
const commands = markCommands(store);
const judge = judgeCommands(store, candidates, commands);
const edit = editCommands(store, commands);
const compare = compareCommands(store);
const actions = {
  keepMine: (theirs) => drafting.keepMine(theirs),
  takeTheirs: (theirs) => drafting.takeTheirs(theirs),
  clearAll() {
    store.act({ type: "spans.clear" });
    store.show({ dialog: null, current: null });
  },
};

let asked = false;
let spans = null;

function draw() {
  asked = false;
  if (store.answer.spans !== spans) {
    spans = store.answer.spans;
    store.ui.cautions = cautions(spans, store.text, project);
  }
  render(html`<${View} />`, root);
}

function goOn() {
  location.assign(`/adjudicate/next?after=${encodeURIComponent(item.id)}`);
}

/** What is still open, worst first: where it is, and a sentence. */
function open() {
  const first = candidates.findIndex((one) => !store.doc.decisions[one.key]);
  const found = [];
  if (first >= 0) found.push({ reason: judge.open() === 1 ? t("One mark is not decided yet.") : t("{count} marks are not decided yet.", { count: judge.open() }), tab: "mark", candidate: first });
  for (const response of examined(project, item).map((index) => item.responses[index])) {
    const index = item.responses.indexOf(response);
    if (project.tasks.includes("edit") && store.doc.responses[index].correction === null && editsOf(lanes, response.key).length) found.push({ reason: t("Choose whose edit holds, or make your own."), tab: "edit", response: index });
  }
  for (const one of comparisons) {
    if (!wayTaken(store.doc, one)) found.push({ reason: t("Choose whose comparison holds ({aspect}).", { aspect: one.aspect }), tab: "compare" });
  }
  return found.length ? found : problems(concluded(store.doc, item, project), project, item, store.texts);
}

async function submit() {
  if (store.ui.busy || store.ui.dialog) return;
  const found = open();
  if (found.length) return refuse(found);
  store.show({ busy: true, problems: [] });
  await drafting.settled();
  const reasons = Object.fromEntries(Object.entries(store.doc.reasons).filter(([, text]) => text.trim()));
  const verdict = { client_submission_id: submissionId, body: bodyOf(), source_ids: lanes.map((lane) => lane.annotation_id), reasons };
  try {
    await persistently(() => api("POST", path, verdict));
    await drafting.over();
    goOn();
  } catch (error) {
    store.show({ busy: false });
    if (error.body?.problems) refuse(error.body.problems.map((one) => ({ ...one, server: true })));
    else commands.say(error.status ? error.detail : `${error.detail} ${t("Your decisions are kept on this device; submit again later.")}`);
  }
}

function refuse(found) {
  const [first] = found;
  store.show({ problems: found, mode: null, ...(first.tab && { tab: first.tab }), ...(first.response !== undefined && { response: first.response }) });
  announce(t("Not submitted: {reason}", { reason: first.reason }));
  if (first.candidate !== undefined) judge.look(first.candidate);
  else if (first.span) commands.pick(first.span);
}

function openTab(tab) {
  store.show({ tab, mode: null, sel: null });
  const first = { mark: "#candidates", edit: "#correction", compare: ".compare [tabindex='0']" }[tab];
  onceDrawn(() => document.querySelector(first)?.focus({ preventScroll: true }));
}

function View() {
  const { ui } = store;
  const chosen = candidates[ui.candidate ?? 0] ?? null;
  const marked = examined(project, item);
  return html`
    <${Notices} store=${store} actions=${actions} openTab=${openTab} />
    <div class="work judge on-${ui.tab}" data-item=${item.id} inert=${Boolean(ui.busy)}>
      <section class="column context scroller" aria-label=${t("Prompt and passages")} tabindex="0">
        <${Prompt} item=${item} />
        <h2 class="pane-title">${t("Passages")}</h2>
        <${Passages} store=${store} commands=${commands} />
        <${Others} marked=${marked} />
      </section>
      <section class="column main-column scroller" aria-label=${t("What people said, and the result")} tabindex="0">
        <div class="tabs-row"><div class="tabs" role="group" aria-label=${t("Tasks")}>
            ${TABS.map(([, tab, label], index) => html`<button type="button" aria-pressed=${ui.tab === tab} data-tab=${tab} onClick=${() => openTab(tab)}>${t(label)} <kbd>Alt+${index + 1}</kbd></button>`)}</div>
          ${ui.tab !== "compare" && marked.length > 1 && html`<div class="tabs small" role="group" aria-label=${t("Responses")}>
            ${marked.map((index) => html`<button type="button" aria-pressed=${ui.response === index} onClick=${() => commands.turn(index)}>${index + 1}</button>`)}</div>`}</div>
        ${ui.tab === "mark" && html`<${Marking} chosen=${chosen} />`}
        ${ui.tab === "edit" && html`<${Edits} store=${store} lanes=${lanes} judge=${judge} /><${EditTab} key=${store.text.key} store=${store} commands=${edit} />`}
        ${ui.tab === "compare" && html`<${Comparisons} store=${store} comparisons=${comparisons} judge=${judge} /><${CompareTab} store=${store} compare=${compare} />`}
      </section>
      <aside class="column side-column scroller" aria-label=${t("Details")}>
        ${ui.tab === "mark" && html`<h2 class="pane-title">${t("Mark")}</h2><${Details} store=${store} candidate=${chosen} judge=${judge} /><${Palette} store=${store} commands=${commands} />`}
        <${Questions} store=${store} lanes=${lanes} />
        <h2 class="pane-title">${t("Comment")}</h2>
        <textarea class="whole" rows="3" dir="auto" aria-label=${t("Comment")} value=${store.doc.comment} onInput=${(event) => store.act({ type: "comment", comment: event.target.value, continues: "comment" })}></textarea>
      </aside></div>
    <${Foot} />
    <${Dialogs} store=${store} actions=${actions} guidelines=${guidelines} />
    ${ui.dialog === "sheet" && html`<${KeySheet} groups=${GROUPS} onClose=${() => store.show({ dialog: null })} />`}`;
}

function Marking({ chosen }) {
  return html`<${Lanes} store=${store} lanes=${lanes} candidate=${chosen} judge=${judge} />
    <h2 class="pane-title">${t("Result")}</h2>
    <${ResponsePane} key=${store.text.key} store=${store} commands=${commands} />
    <p id="response-help" class="help muted small">${t("A accepts, R rejects, J and K go through the marks. The result is cut and marked like any response: [ ] { } move the edges of a mark, 1–9 label.")}</p>
    <h2 class="pane-title">${t("Marks: {count} to decide", { count: judge.open() })}</h2>
    <${Candidates} store=${store} candidates=${candidates} judge=${judge} />
    <h2 class="pane-title">${t("In the result")}</h2>
    <${SpanList} store=${store} commands=${commands} />`;
}

/** Responses that nobody was asked to mark are part of the picture all the same. */
function Others({ marked }) {
  const others = item.responses.filter((_, index) => !marked.includes(index));
  if (!others.length) return null;
  return html`<h2 class="pane-title">${t("Other responses")}</h2>${others.map((response) => html`<section class="other" aria-label=${t("Response {number}", { number: response.key.slice(1) })}><strong>${response.key.slice(1)}</strong> <${Shown} text=${response.text} /></section>`)}`;
}

function Foot() {
  const { ui } = store;
  return html`<footer class="bar"><span class="save ${ui.save.kind}" data-save=${ui.save.kind} role="status">${saveText(ui.save)}</span><a class="button" href="/adjudicate">${t("All items")}</a>
      <span class="grow"></span>
      <button type="button" class="quiet" disabled=${!store.canUndo} title=${hint("undo")} onClick=${() => store.undo()}>${t("Undo")}</button>
      <button type="button" class="quiet" disabled=${!store.canRedo} title=${hint("redo")} onClick=${() => store.redo()}>${t("Redo")}</button>
      <button type="button" class="quiet" onClick=${() => store.show({ dialog: "sheet" })}>${t("Keys")} <kbd>?</kbd></button>
      <button type="button" class="quiet" title=${hint("guidelines")} onClick=${() => store.show({ dialog: "guidelines" })}>${t("Guidelines")} <kbd>G</kbd></button>
      <button type="button" class="plain" title=${hint("item.next")} onClick=${goOn}>${t("Next item")} <kbd>N</kbd></button>
      <button type="button" class="primary" disabled=${ui.busy} title=${hint("submit")} onClick=${submit}>${t("Submit verdict")} <kbd>${hint("submit")}</kbd></button></footer>`;
}

async function begin() {
  store.show({ seen: claim.response_order });
  store.listeners.add(() => {
    if (!asked) queueMicrotask(draw);
    asked = true;
  });
  await drafting.restore();
  drafting.start();
  root.replaceChildren();
  evidenceMode(root, store, commands);
  judge.look(Math.max(0, candidates.findIndex((one) => !store.doc.decisions[one.key])));
  draw();
  const globals = {
    undo: () => store.undo(), redo: () => store.redo(), submit, save: () => drafting.saver.flush(), leave: commands.leave,
    sheet: () => store.show({ dialog: "sheet" }), guidelines: () => store.show({ dialog: "guidelines" }),
    tab: (event, digit) => (TABS[digit - 1] ? openTab(TABS[digit - 1][1]) : false),
    search: () => document.getElementById("passage-search")?.focus() ?? false,
  };
  const own = { ...markKeys(store, commands), ...editKeys(store, edit), ...compareKeys(store, compare), ...judgeKeys(store, judge, goOn) };
  listen({ ...own, ...globals }, GROUPS, categoryKeys(store, commands));
  document.getElementById("candidates")?.focus({ preventScroll: true });
  requestAnimationFrame(() => setTimeout(() => performance.mark("spanwise:drawn")));
}

begin();
