/** The Compare tab: pairs side by side, or a board of tiers; in the order that the server drew for this person. */

import { t } from "../messages.js";
import { choice, contradictions, pairsOf } from "../state/checks.js";
import { visible } from "../text/invisible.js";
import { wordDiff } from "../text/diff.js";
import { onceDrawn } from "../ui/drawn.js";
import { html, useEffect, useMemo, useRef } from "../vendor/preact-htm.js";

/** What a response is called: a letter by the order of this person, or its number where letters are people. */
export const letter = (store, key) => (store.claim.numbered ? key.slice(1) : String.fromCharCode(65 + store.claim.response_order.indexOf(key)));
const textOf = (store, key) => store.item.responses.find((response) => response.key === key);

export function CompareTab({ store, compare }) {
  const { project, ui } = store;
  const aspect = project.aspects[ui.aspect ?? 0];
  const clashes = contradictions(store.doc.preferences.filter((one) => one.aspect === aspect), (key) => letter(store, key));
  return html`<div class="compare">
    ${project.aspects.length > 1 && html`<div role="group" class="switch" aria-label=${t("Aspect")}>
      ${project.aspects.map((name, index) => html`<button type="button" aria-pressed=${name === aspect} onClick=${() => store.show({ aspect: index })}>${name}</button>`)}</div>`}
    ${project.pairs === "ranking" ? html`<${Board} store=${store} compare=${compare} aspect=${aspect} />` : html`<${Pairs} store=${store} compare=${compare} aspect=${aspect} />`}
    ${clashes.length > 0 && html`<div class="clash" role="status"><strong>${t("These cannot all hold:")}</strong>
      <ul>${clashes.map((text) => html`<li>${text}</li>`)}</ul>
      <p class="muted">${t("You may keep them; they are stored as you gave them.")}</p></div>`}
  </div>`;
}

/** The pair on screen. */
export function pairOf(store) {
  const pairs = pairsOf(store.project, store.item, store.claim.response_order);
  return pairs[Math.min(store.ui.pair ?? 0, pairs.length - 1)];
}

function Pairs({ store, compare, aspect }) {
  const pairs = pairsOf(store.project, store.item, store.claim.response_order);
  const pair = pairOf(store);
  if (!pair) return html`<p class="muted">${t("There is only one response: nothing to compare.")}</p>`;
  const chosen = choice(store.doc, aspect, ...pair);
  const value = chosen && (chosen.a === pair[0] || !["a", "b"].includes(chosen.choice) ? chosen.choice : { a: "b", b: "a" }[chosen.choice]);
  const strong = chosen?.strength === 2;
  const texts = pair.map((key) => textOf(store, key).text);
  const runs = useMemo(() => (store.ui.differences ? wordDiff(...texts) : null), [store.ui.differences, ...pair]);
  return html`
    ${pairs.length > 1 && html`<div class="pair-list" role="group" aria-label=${t("Pairs")}>
      ${pairs.map(([a, b], index) => html`<button type="button" aria-pressed=${index === (store.ui.pair ?? 0)} onClick=${() => store.show({ pair: index })}>
        ${letter(store, a)}${sign(store, aspect, a, b)}${letter(store, b)}</button>`)}</div>`}
    <div class="pair">
      ${pair.map((key, side) => html`<${Card} key=${key} store=${store} name=${key} side=${side} runs=${runs} compare=${compare} won=${value === ["a", "b"][side]} strong=${strong}
        seen=${store.ui.seen.includes(key)} />`)}
    </div>
    <div class="verdicts" role="group" aria-label=${t("Which is better?")}>
      ${[["a", t("{name} is better", { name: letter(store, pair[0]) }), "1"], ["tie", t("Equally good"), "="], ["both_bad", t("Both bad"), "B"], ["b", t("{name} is better", { name: letter(store, pair[1]) }), "2"]].map(([name, label, key]) => html`
        <button type="button" class="plain" data-choice=${name} aria-pressed=${value === name} onClick=${() => compare.choose(name)}>${label} <kbd>${key}</kbd></button>`)}
    </div>`;
}

function sign(store, aspect, a, b) {
  const chosen = choice(store.doc, aspect, a, b);
  if (!chosen) return " · ";
  if (["tie", "both_bad"].includes(chosen.choice)) return " = ";
  return (chosen.choice === "a") === (chosen.a === a) ? " > " : " < ";
}

function Card({ store, name, side, runs, compare, won, strong, seen }) {
  const box = useRef(null);
  useEffect(() => {
    const element = box.current;
    const look = () => {
      if (element.scrollTop + element.clientHeight >= element.scrollHeight - 8) compare.see(name);
    };
    const timer = setTimeout(look, 400);
    element.addEventListener("scroll", look);
    return () => {
      clearTimeout(timer);
      element.removeEventListener("scroll", look);
    };
  }, [name]);
  const model = textOf(store, name).model;
  return html`<article class="answer-card ${won ? "won" : ""}" aria-label=${t("Response {number}", { number: letter(store, name) })}>
    <header><strong>${letter(store, name)}</strong> ${model && html`<span class="muted">${model}</span>`} ${won && html`<span class="tag">${strong ? t("much better") : "better"}</span>`} ${!seen && html`<span class="tag unread">${t("not read to its end")}</span>`}</header>
    <div class="text" data-pane tabindex="0" role="region" aria-label=${t("Text of response {number}", { number: letter(store, name) })} data-side=${side} dir="auto" ref=${box}>
      ${runs ? runs.map((run) => (run.kind === "same" ? visible(run.before) : html`<mark>${visible(side ? run.after : run.before)}</mark>`)) : visible(textOf(store, name).text)}
    </div>
  </article>`;
}

/** Cards in tiers, best first. */
function Board({ store, compare, aspect }) {
  const tiers = compare.tiers(aspect);
  const focused = store.ui.card_at ?? store.claim.response_order[0];
  const given = Boolean(store.doc.rankings[aspect]);
  const drop = (event, tier, fresh) => {
    event.preventDefault();
    compare.place(aspect, event.dataTransfer.getData("text/plain"), tier, fresh);
  };
  const allow = (event) => event.preventDefault();
  return html`<p class="muted">${t("Best on top. Choose a card with ↑ ↓, move it with Alt+↑ ↓; T puts it beside the one above.")} ${given ? "" : t("Not ranked yet.")}</p>
    <ol class="board" aria-label=${t("Ranking, best first")}>
      ${tiers.map((tier, index) => html`
        <li class="gap" onDragOver=${allow} onDrop=${(event) => drop(event, index, true)} aria-hidden="true"></li>
        <li class="tier" onDragOver=${allow} onDrop=${(event) => drop(event, index, false)} aria-label=${t("Tier {number}", { number: index + 1 })}>
          <span class="tier-number">${index + 1}</span>
          <div class="tier-cards">${tier.map((key) => html`<article key=${key} class="board-card ${key === focused ? "current" : ""}" tabindex="0" draggable="true" data-card=${key} aria-label=${t("Response {name}, tier {number} of {total}", { name: letter(store, key), number: index + 1, total: tiers.length })}
            onFocus=${() => { compare.see(key); if (focused !== key) store.show({ card_at: key }); }} onDragStart=${(event) => event.dataTransfer.setData("text/plain", key)}>
            <header><strong>${letter(store, key)}</strong>${!store.ui.seen.includes(key) && html`<span class="tag unread">${t("not read")}</span>`}<span class="grow"></span>
              <button type="button" class="quiet" aria-label=${t("Response {name} a tier up", { name: letter(store, key) })} onClick=${() => compare.shift(aspect, key, -1)}>↑</button>
              <button type="button" class="quiet" aria-label=${t("Response {name} a tier down", { name: letter(store, key) })} onClick=${() => compare.shift(aspect, key, 1)}>↓</button></header>
            <div class="text" dir="auto"><${Against} store=${store} name=${key} above=${aboveOf(tiers, key)} /></div>
          </article>`)}</div>
        </li>`)}
      <li class="gap" onDragOver=${allow} onDrop=${(event) => drop(event, tiers.length, true)} aria-hidden="true"></li>
    </ol>
    ${!given && html`<button type="button" class="plain" onClick=${() => compare.keepOrder(aspect)}>${t("This order is right")}</button>`}`;
}

function aboveOf(tiers, key) {
  const order = tiers.flat();
  return order[order.indexOf(key) - 1];
}

/** With differences on: what a card says otherwise than the one above it. */
function Against({ store, name, above }) {
  const { text } = textOf(store, name);
  const runs = useMemo(() => (store.ui.differences && above ? wordDiff(textOf(store, above).text, text) : null), [store.ui.differences, above, name]);
  if (!runs) return visible(text);
  return runs.map((run) => (run.kind === "same" ? visible(run.after) : run.after && html`<mark>${visible(run.after)}</mark>`));
}

export function compareCommands(store) {
  const aspectName = () => store.project.aspects[store.ui.aspect ?? 0];
  const compare = {
    see(key) {
      if (!store.ui.seen.includes(key)) store.show({ seen: [...store.ui.seen, key] });
    },
    choose(chosen, strength = null) {
      const [a, b] = pairOf(store);
      store.act({ type: "prefer", preference: { aspect: aspectName(), a, b, choice: chosen, strength } });
      const pairs = pairsOf(store.project, store.item, store.claim.response_order);
      const open = pairs.findIndex(([x, y]) => !choice(store.doc, aspectName(), x, y));
      if (open >= 0) store.show({ pair: open });
    },
    tiers: (aspect) => store.doc.rankings[aspect] ?? store.claim.response_order.map((key) => [key]),
    keepOrder: (aspect) => store.act({ type: "rank", aspect, tiers: compare.tiers(aspect) }),
    /** Puts a card into tier `tier`, or into a fresh tier before it. */
    place(aspect, key, tier, fresh) {
      if (!store.item.responses.some((response) => response.key === key)) return;
      const before = compare.tiers(aspect);
      const without = before.map((one) => one.filter((other) => other !== key));
      if (fresh) without.splice(tier, 0, [key]);
      else without[Math.min(tier, without.length - 1)].push(key);
      store.act({ type: "rank", aspect, tiers: without.filter((one) => one.length) });
      store.show({ card_at: key });
    },
    shift(aspect, key, direction) {
      const tiers = compare.tiers(aspect);
      const at = tiers.findIndex((tier) => tier.includes(key));
      if (tiers[at].length > 1) compare.place(aspect, key, direction < 0 ? at : at + 1, true);
      else if (tiers[at + direction]) compare.place(aspect, key, direction < 0 ? at - 1 : at + 2, true);
      focusCard(store, key);
    },
    tieAbove(aspect, key) {
      const at = compare.tiers(aspect).findIndex((tier) => tier.includes(key));
      if (at > 0) compare.place(aspect, key, at - 1, false);
      focusCard(store, key);
    },
  };
  return compare;
}

/** The card in view, from now on; its element may move with the drawing. */
function focusCard(store, key) {
  store.show({ card_at: key });
  onceDrawn(() => document.querySelector(`[data-card="${key}"]`)?.focus());
}

export function compareKeys(store, compare) {
  const board = () => store.project.pairs === "ranking";
  const on = (work) => (...all) => (store.ui.tab === "compare" ? work(...all) : false);
  const pairs = (work) => on((...all) => (board() || !pairOf(store) ? false : work(...all)));
  const cards = (work) => on(() => (board() ? work(store.project.aspects[store.ui.aspect ?? 0], store.ui.card_at ?? store.claim.response_order[0]) : false));
  const walk = (direction) => cards((aspect, key) => {
    const order = compare.tiers(aspect).flat();
    focusCard(store, order[Math.max(0, Math.min(order.length - 1, order.indexOf(key) + direction))]);
  });
  const turn = (direction) => on(() => {
    const count = store.project.aspects.length;
    store.show({ aspect: ((store.ui.aspect ?? 0) + direction + count) % count });
  });
  return {
    prefer: pairs((event, digit) => (digit <= 2 ? compare.choose(digit === 1 ? "a" : "b") : false)),
    "prefer.strongly": pairs((event, digit) => (digit <= 2 ? compare.choose(digit === 1 ? "a" : "b", 2) : false)),
    tie: pairs(() => compare.choose("tie")), both_bad: pairs(() => compare.choose("both_bad")),
    differences: on(() => store.show({ differences: !store.ui.differences })),
    swap: pairs(() => {
      if (document.activeElement?.tagName === "BUTTON") return false;
      const side = document.activeElement?.dataset.side === "0" ? "1" : "0";
      return document.querySelector(`.pair [data-side="${side}"]`)?.focus();
    }),
    "card.up": walk(-1), "card.down": walk(1),
    "tier.up": cards((aspect, key) => compare.shift(aspect, key, -1)),
    "tier.down": cards((aspect, key) => compare.shift(aspect, key, 1)),
    "tier.tie": cards(compare.tieAbove),
    "aspect.next": turn(1), "aspect.previous": turn(-1),
  };
}
