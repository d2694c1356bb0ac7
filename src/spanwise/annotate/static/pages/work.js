/** The work page: claims an item, shows its tabs, submits and goes on to the next. */

import { api, pageData } from "../api.js";
import { KEYS, hint, listen, projectKeys } from "../keys.js";
import { t } from "../messages.js";
import { cautions } from "../state/cautions.js";
import { examined, problems } from "../state/checks.js";
import { announce } from "../ui/announce.js";
import { onceDrawn } from "../ui/drawn.js";
import { KeySheet } from "../ui/sheet.js";
import { html, render } from "../vendor/preact-htm.js";
import { Bar } from "../work/bar.js";
import { categoryKeys, evidenceMode, markCommands, markKeys } from "../work/commands.js";
import { CompareTab, compareCommands, compareKeys } from "../work/compare.js";
import { Dialogs, Notices } from "../work/dialogs.js";
import { EditTab, editCommands, editKeys } from "../work/edit.js";
import { ResponsePane, SpanList } from "../work/mark.js";
import { Nothing } from "../work/nothing.js";
import { Palette, asksForReading } from "../work/palette.js";
import { Passages } from "../work/passages.js";
import { Prompt } from "../work/prompt.js";
import { Questions } from "../work/questions.js";
import { moveByWord } from "../work/selection.js";
import { Session } from "../work/session.js";
import { Store } from "../work/store.js";
import { suggestionCommands } from "../work/suggestions.js";

const { project, user, guidelines, item_id: asked, annotation_id: reopened } = pageData();
const root = document.getElementById("island");
const TABS = [["spans", "mark", "Mark"], ["edit", "edit", "Edit"], ["preference", "compare", "Compare"]];
const TASKS = TABS.filter(([task]) => project.tasks.includes(task));
projectKeys(project.hotkeys);

let current = null;
/** The store on screen. */
let shown = null;
root.replaceChildren();

async function next(itemId = null, receipt = null) {
  current?.stop();
  try {
    const answer = await api("POST", "/api/v1/claims", itemId ? { item_id: itemId } : {});
    if (answer.nothing) render(html`<${Nothing} nothing=${answer.nothing} receipt=${receipt} again=${() => next()} reopen=${reopen} />`, clear());
    else await mount(answer, receipt);
  } catch (error) {
    render(html`<${Nothing} error=${error.detail || error.message} again=${() => next(itemId)} />`, clear());
  }
}

async function reopen(annotationId) {
  current?.stop();
  await mount(await api("POST", `/api/v1/annotations/${encodeURIComponent(annotationId)}/reopen`, {}));
}

function clear() {
  shown = null;
  render(null, root);
  return root;
}

async function mount({ claim, item }, receipt = null) {
  const store = new Store(project, item, claim);
  const session = new Session(store, user.id);
  const parts = assemble(store, session);
  clear();
  const draw = drawer(store, parts);
  store.listeners.add(draw.soon);
  await session.restore();
  session.start();
  shown = store;
  store.show({ receipt, seen: item.responses.length === 1 ? [item.responses[0].key] : [] });
  draw.now();
  if (claim.suggestions.length && project.suggestions === "prefilled" && !claim.draft) parts.suggest.prefill();
  const unlisten = listen(parts.keys, groupsOf(), categoryKeys(store, parts.commands));
  current = { stop: () => { session.stop(); unlisten(); } };
  if (store.ui.tab === "mark") {
    document.getElementById("response")?.focus({ preventScroll: true });
    if (!store.ui.sel) store.show({ sel: moveByWord(store.text.snapping, null, 1) });
  }
  requestAnimationFrame(() => setTimeout(() => performance.mark("spanwise:drawn")));
  const { snapping } = store.text;
  announce(t("Response {number}, {words} words, {spans}", { number: 1, words: snapping.words.ranges.length, spans: store.answer.spans.length ? t("{count} spans", { count: store.answer.spans.length }) : t("no spans") }));
  if (receipt) setTimeout(() => store.ui.receipt === receipt && store.show({ receipt: null }), 10_000);
}

/** Draws the page of a store: at once, or once after all that one key or click changes. */
function drawer(store, parts) {
  let asked = false;
  let spans = null;
  const now = () => {
    asked = false;
    if (shown !== store) return;
    if (store.answer.spans !== spans) {
      spans = store.answer.spans;
      store.ui.cautions = cautions(spans, store.text, project);
    }
    render(html`<${Page} store=${store} ...${parts} />`, root);
  };
  const soon = () => {
    if (!asked) queueMicrotask(now);
    asked = true;
  };
  return { now, soon };
}

const groupsOf = () => ["Everywhere", ...TASKS.map(([, , group]) => group)];

/** Commands and keys of one item. */
function assemble(store, session) {
  const commands = markCommands(store);
  const edit = editCommands(store, commands);
  const compare = compareCommands(store);
  const suggest = suggestionCommands(store, commands);
  const actions = actionsOf(store, session, commands, suggest);
  evidenceMode(root, store, commands);
  const own = { mark: markKeys(store, commands), edit: editKeys(store, edit), compare: compareKeys(store, compare) };
  const keys = { ...merge(own.mark, own.edit, own.compare), ...globalKeys(store, actions, commands) };
  return { commands, edit, compare, suggest, actions, keys: whileOurs(store, keys) };
}

/** Keys that do nothing while a submission is on its way. */
function whileOurs(store, keys) {
  return Object.fromEntries(Object.entries(keys).map(([id, work]) => [id, (...all) => (store.ui.busy ? undefined : work(...all))]));
}

function merge(...tables) {
  const merged = {};
  for (const table of tables) Object.assign(merged, table);
  return merged;
}

function globalKeys(store, actions, commands) {
  return {
    sheet: actions.sheet, guidelines: actions.guidelines, undo: actions.undo, redo: actions.redo,
    save: actions.save, submit: actions.submit, "submit.stay": () => actions.submit({ stay: true }),
    skip: actions.skip, ask: actions.ask, suggestions: actions.suggestions,
    leave: commands.leave,
    "pane.next": () => pane(1), "pane.previous": () => pane(-1),
    tab: (event, digit) => {
      const tab = TABS[digit - 1];
      return tab && TASKS.includes(tab) ? openTab(store, tab[1]) : false;
    },
    search: () => {
      const field = document.getElementById("passage-search");
      return field ? field.focus() : false;
    },
  };
}

function pane(direction) {
  const panes = [...document.querySelectorAll("[data-pane]")].filter((one) => one.offsetParent);
  const at = panes.findIndex((one) => one.contains(document.activeElement));
  panes[(at + direction + panes.length) % panes.length]?.focus();
}

function openTab(store, tab) {
  store.show({ tab, mode: null, sel: null });
  const first = { mark: "response", edit: "correction" }[tab];
  onceDrawn(() => (document.getElementById(first ?? "") ?? document.querySelector(".compare [tabindex='0']"))?.focus({ preventScroll: true }));
}

function actionsOf(store, session, commands, suggest) {
  const open = (dialog) => () => store.show({ dialog });
  const submit = async ({ stay = false } = {}) => {
    if (store.ui.busy || store.ui.dialog) return;
    const found = [...problems(store.doc, project, store.item, store.texts), ...unread(store)];
    if (found.length) return refuse(store, commands, found);
    const before = document.activeElement;
    store.show({ busy: true, problems: [] });
    try {
      const receipt = await session.submit();
      announce(t("Submitted"));
      if (receipt.lesson) return store.show({ dialog: "lesson", receipt, busy: false });
      if (stay) await reopen(receipt.annotation_id);
      else if (asked || reopened) location.assign("/mine");
      else await next(null, receipt);
    } catch (error) {
      store.show({ busy: false });
      onceDrawn(() => before?.focus?.({ preventScroll: true }));
      if (error.status === 422 && error.body?.problems) refuse(store, commands, error.body.problems.map((one) => ({ ...one, server: true })));
      else commands.say(error.status ? error.detail : `${error.detail} ${t("Your work is kept on this device; submit again later.")}`);
    }
  };
  return {
    submit, skip: open("skip"), ask: open("ask"), sheet: open("sheet"), guidelines: open("guidelines"),
    undo: () => store.undo(), redo: () => store.redo(), noErrors: commands.noErrors,
    save: () => session.saver.flush(), suggestions: suggest.show, next: () => next(), reopen,
    async skipped(reason) {
      await session.skip(reason);
      await next();
    },
    clearAll() {
      store.act({ type: "spans.clear" });
      store.show({ dialog: null, current: null });
    },
    keepMine: (theirs) => session.keepMine(theirs),
    takeTheirs: (theirs) => session.takeTheirs(theirs),
  };
}

/** What the reader has not yet been shown. */
function unread(store) {
  const found = [];
  if (project.tasks.includes("preference") && store.item.responses.length > 1) {
    const open = store.item.responses.filter((response) => !store.ui.seen.includes(response.key));
    if (open.length) found.push({ place: "preferences", reason: t("Read every response to its end before you submit."), tab: "compare" });
  }
  if (asksForReading(store) && store.doc.answers.read_passages !== "yes") {
    found.push({ place: "answers", reason: t("An unverifiable span: confirm that you have read all passages."), tab: "mark" });
  }
  return found;
}

/** Shows what is wrong and goes to the first of it. */
function refuse(store, commands, found) {
  const first = found[0];
  const patch = { problems: found, mode: null };
  if (first.response !== undefined) patch.response = first.response;
  if (first.tab) patch.tab = first.tab;
  else if (first.span || first.place === "no_errors" || first.place === "missing") patch.tab = "mark";
  store.show(patch);
  announce(t("Not submitted: {reason}", { reason: first.reason }));
  if (first.span) commands.pick(first.span);
}

function Page({ store, commands, edit, compare, suggest, actions }) {
  const { ui, item } = store;
  const responses = examined(project, item);
  return html`
    <${Notices} store=${store} actions=${actions} openTab=${(tab) => openTab(store, tab)} />
    <div class="work on-${ui.tab}" data-item=${item.id} inert=${Boolean(ui.busy)}>
      <section class="column context scroller" aria-label=${t("Prompt and passages")}>
        <${Prompt} item=${item} />
        <h2 class="pane-title">${t("Passages")}</h2>
        <${Passages} store=${store} commands=${commands} />
      </section>
      <section class="column main-column scroller" aria-label=${t("Response")}>
        <div class="tabs-row">
          <div class="tabs" role="group" aria-label=${t("Tasks")}>
            ${TASKS.map(([, tab, label]) => html`<button type="button" aria-pressed=${ui.tab === tab} data-tab=${tab} onClick=${() => openTab(store, tab)}>${t(label)} <kbd>Alt+${TABS.findIndex((one) => one[1] === tab) + 1}</kbd></button>`)}
          </div>
          ${ui.tab !== "compare" && responses.length > 1 && html`<div class="tabs small" role="group" aria-label=${t("Responses")}>
            ${responses.map((index) => html`<button type="button" aria-pressed=${ui.response === index} onClick=${() => commands.turn(index)}>${index + 1}</button>`)}</div>`}
        </div>
        ${ui.tab === "mark" && html`
          <${ResponsePane} key=${store.text.key} store=${store} commands=${commands} />
          <p id="response-help" class="help muted small">${help(store)}</p>
          <${SpanList} store=${store} commands=${commands} />`}
        ${ui.tab === "edit" && html`<${EditTab} key=${store.text.key} store=${store} commands=${edit} />`}
        ${ui.tab === "compare" && html`<${CompareTab} store=${store} compare=${compare} />`}
      </section>
      <section class="column side-column scroller" aria-label=${t("Categories and guidelines")}>
        ${ui.tab === "mark" ? html`<${Palette} store=${store} commands=${commands} />` : html`<${Aside} tab=${ui.tab} />`}
        <${Questions} store=${store} />
      </section>
    </div>
    <${Bar} store=${store} actions=${actions} />
    <${Dialogs} store=${store} actions=${actions} guidelines=${guidelines} suggest=${suggest} />
    ${ui.dialog === "sheet" && html`<${KeySheet} groups=${groupsOf()} onClose=${() => store.show({ dialog: null })} />`}`;
}

/** The keys of the tab, where there is no palette. */
function Aside({ tab }) {
  const group = { edit: "Edit", compare: "Compare" }[tab];
  const pairs = project.pairs !== "ranking";
  const wanted = KEYS.filter((entry) => entry.group === group && (group === "Edit" || isFor(entry.id, pairs)));
  return html`<h2 class="pane-title">${t("Keys")}</h2>
    <dl class="key-list">${wanted.map((entry) => html`<div><dt>${t(entry.label)}</dt><dd><kbd>${hint(entry.id)}</kbd></dd></div>`)}</dl>`;
}

function isFor(id, pairs) {
  const board = /^(card|tier)\./.test(id);
  return id === "differences" || (id.startsWith("aspect.") ? project.aspects.length > 1 : board !== pairs);
}

function help(store) {
  const { mode, sticky, sel, current } = store.ui;
  if (mode?.kind === "antecedent") return t("Choose the earlier text that the span repeats, then Enter. Esc leaves.");
  if (mode?.kind === "missing") return t("What kind of information is missing? Press its number. Esc leaves.");
  if (sticky) return t("Every selection becomes {category}. Esc ends that.", { category: store.category(sticky).label });
  if (sel) return t("Shift+← → extend, X grows, 1–9 label.");
  if (current) return t("[ ] move the start, { } the end, 1–9 relabel, E evidence, C comment, Del removes.");
  return t("Drag over text, or use the arrow keys; Tab goes through the spans.");
}

if (reopened) reopen(reopened).catch((error) => render(html`<${Nothing} error=${error.detail} again=${() => next()} />`, clear()));
else next(asked ?? null);
