/**
 * The one table of keys: the handlers, the key sheet, the tooltips and the documentation read it.
 *
 * A key is written as its modifiers and its name ("Mod+Enter", "Shift+ArrowLeft", "Digit"). Mod is Ctrl, or Cmd on a Mac.
 * Digits come from the place of the key, so that they work on every layout. Single letters are off while someone types.
 */

export const KEYS = [
  { id: "sheet", keys: ["?"], group: "Everywhere", label: "Key sheet" },
  { id: "guidelines", keys: ["g"], group: "Everywhere", label: "Guidelines" },
  { id: "undo", keys: ["Mod+z"], group: "Everywhere", label: "Undo" },
  { id: "redo", keys: ["Mod+Shift+z", "Mod+y"], group: "Everywhere", label: "Redo" },
  { id: "save", keys: ["Mod+s"], group: "Everywhere", label: "Save now", typing: true },
  { id: "submit", keys: ["Mod+Enter"], group: "Everywhere", label: "Submit and go on", typing: true },
  { id: "submit.stay", keys: ["Alt+Enter"], group: "Everywhere", label: "Submit and stay", typing: true },
  { id: "skip", keys: ["Ctrl+Alt+k"], group: "Everywhere", label: "Skip with a reason", typing: true },
  { id: "leave", keys: ["Escape"], group: "Everywhere", label: "Leave the mode, clear the selection", typing: true },
  { id: "pane.next", keys: ["F6"], group: "Everywhere", label: "Next pane", typing: true },
  { id: "pane.previous", keys: ["Shift+F6"], group: "Everywhere", label: "Previous pane", typing: true },
  { id: "tab", keys: ["Alt+Digit"], group: "Everywhere", label: "Tab Mark, Edit or Compare", show: "Alt+1..3", typing: true },
  { id: "suggestions", keys: ["p"], group: "Everywhere", label: "Show the model's suggestions" },
  { id: "ask", keys: ["q"], group: "Everywhere", label: "Ask the manager about the item" },
  { id: "search", keys: ["/"], group: "Everywhere", label: "Search the passages" },

  { id: "caret.left", keys: ["ArrowLeft"], group: "Mark", label: "Previous word" },
  { id: "caret.right", keys: ["ArrowRight"], group: "Mark", label: "Next word" },
  { id: "caret.up", keys: ["ArrowUp"], group: "Mark", label: "Line above" },
  { id: "caret.down", keys: ["ArrowDown"], group: "Mark", label: "Line below" },
  { id: "caret.home", keys: ["Home"], group: "Mark", label: "First word" },
  { id: "caret.end", keys: ["End"], group: "Mark", label: "Last word" },
  { id: "extend.left", keys: ["Shift+ArrowLeft"], group: "Mark", label: "Extend by a word to the left" },
  { id: "extend.right", keys: ["Shift+ArrowRight"], group: "Mark", label: "Extend by a word to the right" },
  { id: "character.left", keys: ["Alt+ArrowLeft"], group: "Mark", label: "Previous character" },
  { id: "character.right", keys: ["Alt+ArrowRight"], group: "Mark", label: "Next character" },
  { id: "character.extend.left", keys: ["Alt+Shift+ArrowLeft"], group: "Mark", label: "Extend by a character to the left" },
  { id: "character.extend.right", keys: ["Alt+Shift+ArrowRight"], group: "Mark", label: "Extend by a character to the right" },
  { id: "grow", keys: ["x"], group: "Mark", label: "Grow: word, sub-sentence, sentence" },
  { id: "shrink", keys: ["Shift+x"], group: "Mark", label: "Shrink" },
  { id: "label", keys: ["Digit"], group: "Mark", label: "Label the selection, or relabel the span", show: "1..9" },
  { id: "sticky", keys: ["Shift+Digit"], group: "Mark", label: "Keep a label for all selections", show: "Shift+1..9" },
  { id: "no_errors", keys: ["0"], group: "Mark", label: "No errors" },
  { id: "missing", keys: ["m"], group: "Mark", label: "Missing information" },
  { id: "evidence", keys: ["e"], group: "Mark", label: "Link evidence or antecedent of the span" },
  { id: "span.next", keys: ["Tab"], group: "Mark", label: "Next span" },
  { id: "span.previous", keys: ["Shift+Tab"], group: "Mark", label: "Previous span" },
  { id: "start.left", keys: ["["], group: "Mark", label: "Start a word to the left" },
  { id: "start.right", keys: ["]"], group: "Mark", label: "Start a word to the right" },
  { id: "end.left", keys: ["{"], group: "Mark", label: "End a word to the left", show: "Shift+[" },
  { id: "end.right", keys: ["}"], group: "Mark", label: "End a word to the right", show: "Shift+]" },
  { id: "severity", keys: ["v"], group: "Mark", label: "Next severity of the span" },
  { id: "note", keys: ["c"], group: "Mark", label: "Comment on the span" },
  { id: "remove", keys: ["Delete", "Backspace"], group: "Mark", label: "Remove the span" },

  { id: "change.next", keys: ["F8"], group: "Edit", label: "Next change", typing: true },
  { id: "change.previous", keys: ["Shift+F8"], group: "Edit", label: "Previous change", typing: true },
  { id: "change.revert", keys: ["Alt+Backspace"], group: "Edit", label: "Take this change back", typing: true },
  { id: "edit.reset", keys: ["Ctrl+Alt+r"], group: "Edit", label: "Take all changes back", typing: true },
  { id: "edit.view", keys: ["Alt+d"], group: "Edit", label: "Inline, side by side, changes only", typing: true },
  { id: "edit.spans", keys: ["Alt+s"], group: "Edit", label: "Offer the changes as spans", typing: true },

  { id: "prefer", keys: ["Digit"], group: "Compare", label: "Prefer the first or the second", show: "1, 2" },
  { id: "prefer.strongly", keys: ["Shift+Digit"], group: "Compare", label: "Prefer strongly", show: "Shift+1, Shift+2" },
  { id: "tie", keys: ["="], group: "Compare", label: "Equally good" },
  { id: "both_bad", keys: ["b"], group: "Compare", label: "Both bad" },
  { id: "differences", keys: ["d"], group: "Compare", label: "Show what differs" },
  { id: "swap", keys: [" "], group: "Compare", label: "The other response", show: "Space" },
  { id: "card.up", keys: ["ArrowUp"], group: "Compare", label: "Card above" },
  { id: "card.down", keys: ["ArrowDown"], group: "Compare", label: "Card below" },
  { id: "tier.up", keys: ["Alt+ArrowUp"], group: "Compare", label: "A tier up" },
  { id: "tier.down", keys: ["Alt+ArrowDown"], group: "Compare", label: "A tier down" },
  { id: "tier.tie", keys: ["t"], group: "Compare", label: "As good as the one above" },
  { id: "aspect.next", keys: ["Alt+ArrowRight"], group: "Compare", label: "Next aspect" },
  { id: "aspect.previous", keys: ["Alt+ArrowLeft"], group: "Compare", label: "Previous aspect" },

  { id: "accept", keys: ["a"], group: "Adjudicate", label: "Accept the mark" },
  { id: "reject", keys: ["r"], group: "Adjudicate", label: "Reject the mark" },
  { id: "mark.next", keys: ["j"], group: "Adjudicate", label: "Next mark" },
  { id: "mark.previous", keys: ["k"], group: "Adjudicate", label: "Previous mark" },
  { id: "mark.down", keys: ["ArrowDown"], group: "Adjudicate", label: "Next mark, outside of the result" },
  { id: "mark.up", keys: ["ArrowUp"], group: "Adjudicate", label: "Previous mark, outside of the result" },
  { id: "item.next", keys: ["n"], group: "Adjudicate", label: "Next item, this one undecided" },

  { id: "token.left", keys: ["ArrowLeft"], group: "Heat map", label: "Previous token" },
  { id: "token.right", keys: ["ArrowRight"], group: "Heat map", label: "Next token" },
  { id: "channel", keys: ["c"], group: "Heat map", label: "Next channel" },
  { id: "values", keys: ["v"], group: "Heat map", label: "Numbers" },
  { id: "sums", keys: ["s"], group: "Heat map", label: "Segment sums" },
  { id: "scale", keys: ["n"], group: "Heat map", label: "Scale: sample, run, fixed" },
  { id: "sample.next", keys: ["j"], group: "Heat map", label: "Next sample" },
  { id: "sample.previous", keys: ["k"], group: "Heat map", label: "Previous sample" },
  { id: "overlay", keys: ["o"], group: "Heat map", label: "Overlay marked spans" },
  { id: "copy", keys: ["y"], group: "Heat map", label: "Copy a link to this view" },

  { id: "filter", keys: ["f"], group: "Runs", label: "Filter" },
  { id: "smooth.less", keys: ["["], group: "Runs", label: "Smooth less" },
  { id: "smooth.more", keys: ["]"], group: "Runs", label: "Smooth more" },
  { id: "log", keys: ["l"], group: "Runs", label: "Logarithmic scale" },
  { id: "refresh", keys: ["r"], group: "Runs", label: "Refresh" },
];

const STORE = "spanwise.keys";

/** The person's own keys and settings; what cannot be read counts as none. */
export function settings() {
  try {
    return { keys: {}, letters: true, ...JSON.parse(localStorage.getItem(STORE) ?? "{}") };
  } catch {
    return { keys: {}, letters: true };
  }
}

export function saveSettings(value) {
  localStorage.setItem(STORE, JSON.stringify(value));
}

/** Keys that the project gives to actions; a person's own come first. */
const ofProject = {};

export function projectKeys(keys) {
  for (const [id, key] of Object.entries(keys)) ofProject[id] = [key];
}

/** The keys of one entry, as the person has them. */
export function keysOf(entry, own = settings()) {
  const chosen = own.keys[entry.id] ?? ofProject[entry.id];
  return Array.isArray(chosen) && chosen.every((key) => typeof key === "string") ? chosen : entry.keys;
}

/** What a key press is called, by the key's place for digits and else by its sign: ["Shift+1", "!"], ["Mod+Enter"]. */
export function namesOf(event) {
  const digit = /^Digit([0-9])$/.exec(event.code ?? "") ?? (/^[0-9]$/.test(event.key) ? [null, event.key] : null);
  const letter = /^Key([A-Z])$/.exec(event.code ?? "");
  const sign = letter && !/^[a-z]$/i.test(event.key) ? letter[1].toLowerCase() : event.key;
  const names = digit && digit[1] !== sign ? [digit[1], sign] : [sign];
  return names.map((name) => withModifiers(event, name.length === 1 ? name.toLowerCase() : name));
}

function withModifiers(event, name) {
  const composed = event.getModifierState?.("AltGraph");
  const plainSign = name.length === 1 && !/[a-z0-9 ]/.test(name);
  const parts = [];
  if (event.ctrlKey && !composed) parts.push("Ctrl");
  if (event.metaKey) parts.push("Meta");
  if (event.altKey && !composed) parts.push("Alt");
  if (event.shiftKey && !plainSign) parts.push("Shift");
  return [...parts, name].join("+");
}

/** All names that a written key answers to. */
function spelled(key) {
  const [name, ...modifiers] = key.split(/\+(?=.)/).reverse();
  const order = ["Ctrl", "Meta", "Alt", "Shift"];
  const forms = modifiers.includes("Mod") ? ["Ctrl", "Meta"] : [""];
  return forms.flatMap((form) => {
    const kept = [...modifiers.filter((one) => one !== "Mod"), form].filter(Boolean);
    const prefix = order.filter((one) => kept.includes(one));
    const names = name === "Digit" ? ["1", "2", "3", "4", "5", "6", "7", "8", "9"] : [name];
    return names.map((one) => [...prefix, one].join("+"));
  });
}

const FIELDS = "input, textarea, select, [contenteditable=true]";

/**
 * Calls the handler of the key that was pressed: `handlers[id](event, digit)`. A handler that returns false passes the
 * key on to the browser. While a dialog is open all keys are its own. `more` are handlers of single keys that only this
 * project has; they come before those of the table.
 */
export function listen(handlers, groups, more = {}, target = document) {
  const own = settings();
  const table = new Map();
  for (const entry of KEYS.filter((one) => groups.includes(one.group) && handlers[one.id])) {
    for (const name of keysOf(entry, own).flatMap(spelled)) {
      table.set(name, [...(table.get(name) ?? []), entry]);
    }
  }
  const onKey = (event) => {
    if (event.isComposing || event.keyCode === 229 || event.defaultPrevented || document.querySelector("dialog[open]")) return;
    const names = namesOf(event);
    const typing = event.target.closest?.(FIELDS) && !["checkbox", "radio"].includes(event.target.type);
    if (!own.letters && /^(Shift\+)?[a-z]$/.test(names[0])) return;
    if (!typing && names.some((name) => more[name] && more[name](event) !== false)) return event.preventDefault();
    const digit = Number(/([0-9])$/.exec(names[0])?.[1] ?? Number.NaN);
    for (const entry of names.flatMap((name) => table.get(name) ?? [])) {
      if (typing && !entry.typing) continue;
      if (handlers[entry.id](event, digit) === false) continue;
      event.preventDefault();
      event.stopPropagation();
      return;
    }
  };
  target.addEventListener("keydown", onKey);
  return () => target.removeEventListener("keydown", onKey);
}

const MAC = /Mac|iPhone|iPad/.test(navigator.userAgent);
const DRAWN = { ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓", Escape: "Esc", " ": "Space", Mod: MAC ? "⌘" : "Ctrl" };

/** A key as it is shown on the page. */
export function shown(key) {
  return key
    .split(/\+(?=.)/)
    .map((part) => DRAWN[part] ?? (part.length === 1 ? part.toUpperCase() : part))
    .join("+");
}

/** The keys of an entry as text for tooltips and the key sheet. */
export function hint(id) {
  const entry = KEYS.find((one) => one.id === id);
  const keys = keysOf(entry);
  return entry.show && keys === entry.keys ? entry.show : keys.map(shown).join(", ");
}
