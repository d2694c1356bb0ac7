/**
 * Work that needs the page as it will look after this change, such as moving the focus to what appears.
 *
 * Pages draw in a microtask behind the key or click that changed something, and what is asked for here runs in the next
 * one: before the browser hands out another key, so that none is typed into what was there before.
 */
export function onceDrawn(work) {
  queueMicrotask(work);
}
