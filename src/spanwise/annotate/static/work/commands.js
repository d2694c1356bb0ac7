/** What a person can do while marking, by name: keys and buttons call the same functions. */

import { t } from "../messages.js";
import { announce } from "../ui/announce.js";
import { examined, forbidden } from "../state/checks.js";
import { newId } from "../state/ids.js";
import { newSpan } from "../state/wire.js";
import { evidenceKey, hasSentence, sentencesOf, spokenPlace, walkOrder } from "./evidence.js";
import { extendByCharacter, extendByWord, moveByCharacter, moveByWord, moveToEdge, select } from "./selection.js";

/** @param {import("./store.js").Store} store */
export function markCommands(store) {
  const show = (patch) => store.show(patch);
  const say = (text) => {
    show({ message: text });
    announce(text);
  };

  const commands = {
    /** A range was selected with the pointer. */
    selected(range) {
      if (!range) return;
      if (store.ui.mode?.kind === "antecedent") return commands.setAntecedent(range);
      show({ sel: select(range), current: null, byKeyboard: false, message: "" });
      if (store.ui.sticky) commands.label(store.ui.sticky);
    },

    /** A place was clicked: the span there, of several one after the other, or else the word. */
    clicked(point) {
      const under = store.answer.spans.filter((span) => span.start <= point && point < span.end);
      if (under.length && !store.ui.mode) {
        const next = (under.findIndex((span) => span.id === store.ui.current) + 1) % under.length;
        return commands.pick(under[next].id);
      }
      const { words } = store.text.snapping;
      const word = words.ranges[words.at(point)] ?? null;
      if (store.ui.mode?.kind === "antecedent") return word && commands.setAntecedent(word);
      show({ sel: select(word), current: null, byKeyboard: false });
    },

    move(step) {
      const sel = step(store.text.snapping, store.ui.sel ?? fromCurrent(store), 0);
      const current = store.ui.mode?.kind === "antecedent" ? store.ui.current : null;
      show({ sel, current, byKeyboard: true, message: "" });
      if (sel) announce(store.text.offsets.slice(sel.start, sel.end).slice(0, 200));
    },

    pick(id) {
      const span = store.answer.spans.find((one) => one.id === id);
      if (!span) return;
      show({ current: id, sel: null, byKeyboard: false });
      const text = store.text.offsets.slice(span.start, span.end).slice(0, 200);
      announce(`${store.category(span.category).label}: ${text}`);
    },

    /** Labels the selection, or gives the span in view another label. */
    label(name) {
      const { sel, current } = store.ui;
      const category = store.category(name);
      if (!sel && current) {
        store.act({ type: "span.label", id: current, category: name });
        return commands.needs(store.currentSpan, category);
      }
      if (!sel) return show({ sticky: store.ui.sticky === name ? null : name });
      const span = newSpan(sel.start, sel.end, name);
      const reason = forbidden(store.project, store.answer.spans, span);
      if (reason) return say(reason);
      store.act({ type: "span.add", span });
      show({ sel: null, current: span.id, message: "" });
      announce(t("{category}: marked", { category: category.label }));
      commands.needs(span, category);
    },

    /** Asks for what the category needs. */
    needs(span, category) {
      if (category.needs === "evidence" && !span.evidence.length) commands.link(span.id);
      if (category.needs === "antecedent" && !span.antecedent) commands.link(span.id);
      if (category.needs === "comment" && !span.note) commands.openNote(span.id);
    },

    link(id) {
      const span = store.answer.spans.find((one) => one.id === id);
      if (!span) return;
      const needs = store.category(span.category).needs;
      show({ current: id, sel: null });
      if (needs === "antecedent") {
        const first = store.text.snapping.words.ranges[0];
        show({ mode: { kind: "antecedent" }, sel: first && first[1] <= span.start ? select(first) : null });
        document.getElementById("response")?.focus();
        return announce(t("Choose the earlier text that it repeats, then press Enter."));
      }
      if (!store.item.passages.length) return say(t("This item has no passages to link to."));
      const { closest, all } = walkOrder(store);
      show({ mode: { kind: "evidence", cursor: closest[0] ?? all[0], typed: "" } });
      announce(t("Choose evidence: arrows and Space, or type passage dot sentence. Enter ends."));
    },

    /** Asks which sentence says it; without passages, what it is. */
    linkMissing(id) {
      if (!store.item.passages.length) return show({ noteFor: id, current: null, sel: null });
      const [first] = sentencesOf(store.item);
      show({ mode: { kind: "evidence", missing: id, cursor: first, typed: "" }, sel: null, current: null });
    },

    setAntecedent(range) {
      const span = store.currentSpan;
      if (!span || range[1] > span.start) return say(t("Choose text that stands before the span."));
      store.act({ type: "span.antecedent", id: span.id, antecedent: { start: range[0], end: range[1] } });
      commands.leave();
      announce(t("Repetition linked."));
    },

    toggleSentence(one) {
      const { mode, current } = store.ui;
      const type = mode?.missing ? "missing.evidence" : "span.evidence";
      store.act({ type, id: mode?.missing ?? current, passage: one.passage, sentence: one.sentence });
      show({ mode: { ...mode, cursor: one, typed: "" } });
      const evidence = mode?.missing
        ? store.answer.missing.find((missing) => missing.id === mode.missing)?.evidence
        : store.currentSpan?.evidence;
      announce(`${spokenPlace(one)} ${hasSentence(evidence ?? [], one) ? "linked" : t("no longer linked")}`);
    },

    /** A sentence was clicked outside of evidence mode: it is linked where the span in view can have evidence. */
    tapSentence(one) {
      const span = store.currentSpan;
      if (!span || store.category(span.category).needs !== "evidence") return;
      store.act({ type: "span.evidence", id: span.id, passage: one.passage, sentence: one.sentence });
    },

    showEvidence(entry) {
      const sentence = entry.sentences[0] ?? -1;
      const row = document.getElementById(`sentence-${entry.passage}-${sentence}`);
      row?.scrollIntoView({ block: "center" });
      row?.classList.add("flash");
      setTimeout(() => row?.classList.remove("flash"), 1200);
    },

    /** Starts to say what is missing: the category first, its sentence next. */
    missing() {
      if (!store.categories("missing").length) return say(t("This project does not ask for missing information."));
      show({ mode: { kind: "missing" }, sel: null, current: null });
      announce(t("Missing information: choose a kind by its number."));
    },

    addMissing(name) {
      const id = newId();
      store.act({ type: "missing.add", missing: { id, category: name, evidence: [], comment: "" } });
      show({ mode: null });
      commands.linkMissing(id);
    },

    noErrors() {
      const { answer } = store;
      if (answer.spans.length || answer.missing.length) return show({ dialog: "clear" });
      store.act({ type: "no_errors", value: !answer.no_errors });
      announce(store.answer.no_errors ? t("No errors") : t("Not marked as free of errors"));
    },

    removeSpan(id) {
      const { spans } = store.answer;
      const index = spans.findIndex((span) => span.id === id);
      if (index < 0) return;
      store.act({ type: "span.remove", id });
      const next = store.answer.spans[Math.min(index, store.answer.spans.length - 1)];
      show({ current: next?.id ?? null, mode: null });
      announce(t("Span removed"));
    },

    /** Moves one edge of the span in view, or of the selection, by a word. */
    moveEdge(edge, direction) {
      const span = store.currentSpan ?? store.ui.sel;
      if (!span) return false;
      const point = store.text.snapping.words.neighbour(edge ? span.end : span.start, edge, direction);
      const [start, end] = edge ? [span.start, point] : [point, span.end];
      if (start >= end) return undefined;
      if (!store.currentSpan) return show({ sel: select([start, end]), byKeyboard: true });
      const reason = forbidden(store.project, store.answer.spans, { ...span, start, end });
      if (reason) return say(reason);
      store.act({ type: "span.move", id: span.id, start, end });
      return announce(store.text.offsets.slice(start, end).slice(0, 200));
    },

    /** The next span; false behind the last one, so that Tab leaves the pane. */
    step(direction) {
      const { spans } = store.answer;
      const at = spans.findIndex((span) => span.id === store.ui.current);
      const next = at < 0 ? (direction > 0 ? nearest(store, spans) : spans.length - 1) : at + direction;
      if (!spans[next]) return false;
      commands.pick(spans[next].id);
      return undefined;
    },

    /** The next grade of the span in view, mildest first; behind the last one the first again. */
    nextSeverity(span) {
      const { severities } = store.category(span.category);
      if (!severities?.length) return say(t("This category has no severities."));
      const severity = severities[(severities.indexOf(span.severity) + 1) % severities.length];
      store.act({ type: "span.severity", id: span.id, severity });
      announce(severity);
    },

    openNote: (id) => show({ current: id, noteFor: id, sel: null }),
    closeNote() {
      show({ noteFor: null });
      document.getElementById("response")?.focus();
    },

    leave() {
      const { mode } = store.ui;
      if (mode) show({ mode: null, sel: null });
      else if (store.ui.noteFor) return commands.closeNote();
      else if (store.ui.sel || store.ui.current || store.ui.sticky) show({ sel: null, current: null, sticky: null });
      else return show({ message: "" });
      if (store.ui.tab === "mark") document.getElementById("response")?.focus({ preventScroll: true });
      return undefined;
    },

    /** The next response that is marked. */
    turn(index) {
      if (!examined(store.project, store.item).includes(index)) return;
      show({ response: index, sel: null, current: null, mode: null });
    },
    say,
  };
  return commands;
}

function fromCurrent(store) {
  const span = store.currentSpan;
  return span && select([span.start, span.end]);
}

function nearest(store, spans) {
  const from = store.ui.sel?.start ?? 0;
  const next = spans.findIndex((span) => span.start >= from);
  return next < 0 ? 0 : next;
}

/** The keys of the Mark tab. */
export function markKeys(store, commands) {
  const inText = () => store.ui.tab === "mark" && document.activeElement?.id === "response";
  const walk = (step, direction) => () => (inText() ? commands.move((snapping, sel) => step(snapping, sel, direction)) : false);
  const onSpan = (work) => () => (store.ui.tab === "mark" && store.currentSpan ? work(store.currentSpan) : false);
  const marking = (work) => (...all) => (store.ui.tab === "mark" ? work(...all) : false);
  const resize = (step) => marking(() => {
    const range = store.ui.sel ?? store.currentSpan;
    if (!range) return;
    commands.move((snapping) => select(snapping[step]([range.start, range.end])));
  });
  return {
    "caret.left": walk(moveByWord, -1), "caret.right": walk(moveByWord, 1),
    "caret.home": walk(moveToEdge, -1), "caret.end": walk(moveToEdge, 1),
    "caret.up": () => (inText() ? byLine(store, commands, -1) : false),
    "caret.down": () => (inText() ? byLine(store, commands, 1) : false),
    "extend.left": walk(extendByWord, -1), "extend.right": walk(extendByWord, 1),
    "character.left": walk(moveByCharacter, -1), "character.right": walk(moveByCharacter, 1),
    "character.extend.left": walk(extendByCharacter, -1), "character.extend.right": walk(extendByCharacter, 1),
    grow: resize("grow"), shrink: resize("shrink"),
    label: marking((event, digit) => labelled(store, commands, digit)),
    sticky: marking((event, digit) => {
      const category = store.categories("span")[digit - 1];
      if (category) store.show({ sticky: store.ui.sticky === category.name ? null : category.name });
    }),
    no_errors: marking(() => (store.ui.mode ? false : commands.noErrors())),
    missing: marking(commands.missing),
    evidence: onSpan((span) => commands.link(span.id)),
    "span.next": () => (inText() ? commands.step(1) : false),
    "span.previous": () => (inText() ? commands.step(-1) : false),
    "start.left": marking(() => commands.moveEdge(0, -1)), "start.right": marking(() => commands.moveEdge(0, 1)),
    "end.left": marking(() => commands.moveEdge(1, -1)), "end.right": marking(() => commands.moveEdge(1, 1)),
    severity: onSpan(commands.nextSeverity),
    note: onSpan((span) => commands.openNote(span.id)),
    remove: onSpan((span) => commands.removeSpan(span.id)),
  };
}

/** The keys that the project gives to its categories, digits apart. */
export function categoryKeys(store, commands) {
  const own = store.categories("span").filter((category) => category.hotkey && !/^[0-9]$/.test(category.hotkey));
  const label = (category) => () => (store.ui.tab === "mark" && !store.ui.mode && !store.ui.busy ? commands.label(category.name) : false);
  return Object.fromEntries(own.map((category) => [category.hotkey.toLowerCase(), label(category)]));
}

function labelled(store, commands, digit) {
  const { mode } = store.ui;
  if (mode?.kind === "missing") {
    const category = store.categories("missing")[digit - 1];
    return category && commands.addMissing(category.name);
  }
  if (mode) return false;
  const category = store.categories("span").find((one) => one.hotkey === String(digit)) ?? numbered(store, digit);
  return category ? commands.label(category.name) : false;
}

/** The category that stands at a number, where it has no key of its own. */
function numbered(store, digit) {
  const category = store.categories("span")[digit - 1];
  return category && !category.hotkey ? category : undefined;
}

/** The word above or below, by where it stands on the screen. */
function byLine(store, commands, direction) {
  const pane = document.getElementById("response").pane;
  const { sel } = store.ui;
  if (!sel) return commands.move((snapping) => moveByWord(snapping, null, 1));
  const box = pane.range(sel.start, sel.end).getClientRects()[0];
  const line = Number.parseFloat(getComputedStyle(pane.root).lineHeight) || box.height * 1.6;
  const point = pane.pointUnder(box.left + 2, box.top + box.height / 2 + direction * line);
  if (point === null) return undefined;
  const word = store.text.snapping.words.ranges[store.text.snapping.words.at(point)];
  return commands.move(() => select(word));
}

/** The keys of choosing evidence or an antecedent come before all others of the page. */
export function evidenceMode(root, store, commands) {
  const inEvidence = () => store.ui.mode?.kind === "evidence" && document.activeElement?.id === "passages";
  root.onkeydown = (event) => {
    if (store.ui.busy || document.querySelector("dialog[open]")) return;
    const plain = !event.ctrlKey && !event.metaKey && !event.altKey;
    if (plain && inEvidence() && evidenceKey(store, commands, event)) {
      event.preventDefault();
      event.stopPropagation();
    } else if (store.ui.mode?.kind === "antecedent" && event.key === "Enter" && plain && store.ui.sel) {
      event.preventDefault();
      commands.setAntecedent([store.ui.sel.start, store.ui.sel.end]);
    }
  };
}
