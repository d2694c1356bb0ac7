/**
 * A modal dialog of the browser's own kind: focus stays inside, Escape closes it. It opens with the drawing that brings
 * it, so that the next key goes into it and not to the page behind.
 */

import { t } from "../messages.js";
import { html, useLayoutEffect, useRef } from "../vendor/preact-htm.js";
import { onceDrawn } from "./drawn.js";

export function Dialog({ title, onClose, children, wide = false }) {
  const ref = useRef(null);
  useLayoutEffect(() => {
    const element = ref.current;
    element.showModal();
    return () => element.close(); // which gives the focus back
  }, []);
  const cancel = (event) => {
    event.preventDefault();
    onClose();
  };
  /** The browser closes a dialog itself when Escape comes again and again; one that asks for a decision comes back. */
  const closed = () => {
    if (!ref.current?.isConnected) return;
    onClose();
    onceDrawn(() => ref.current?.isConnected && !ref.current.open && ref.current.showModal());
  };
  return html`<dialog ref=${ref} class=${wide ? "dialog wide" : "dialog"} aria-label=${title} onCancel=${cancel} onClose=${closed}>
    <header><h2>${title}</h2><button type="button" class="quiet" aria-label=${t("Close")} onClick=${onClose}>✕</button></header>
    <div class="dialog-body">${children}</div>
  </dialog>`;
}
