/**
 * Draws a text with overlapping marks and says which characters a pointer touches.
 *
 * The text is written by text nodes only, one per piece; positions come from the piece's start plus the place within
 * its text node, never from what surrounds it. It knows marks by id and class, and nothing of feedback.
 */

import { markup } from "./markup.js";
import { paragraphs, pieces, unchanged } from "./pieces.js";
import { visible } from "./invisible.js";

const LANES = 3;

export class TextPane {
  /**
   * @param {HTMLElement} root
   * @param {import("./offsets.js").Offsets} offsets
   */
  constructor(root, offsets) {
    this.root = root;
    this.offsets = offsets;
    this.blocks = paragraphs(offsets).map((start, index, all) => this.#block(start, all[index + 1] ?? offsets.length));
    this.#dress(markup(offsets.text));
    root.replaceChildren(...this.blocks.map((block) => block.element));
    this.draw([]);
  }

  #block(start, end) {
    const element = document.createElement("div");
    element.className = "para";
    element.dir = "auto";
    return { element, start, end, pieces: [], nodes: [], looks: [] };
  }

  /** Lines and stretches look as their Markdown means; not one character is another for it. */
  #dress({ lines, ranges }) {
    this.blocks.forEach((block, index) => {
      if (lines[index]) block.element.classList.add(`md-${lines[index]}`);
    });
    const points = ranges.map(({ start, end, name }, index) => ({ id: `md${index}`, start: this.offsets.toPoint(start), end: this.offsets.toPoint(end), look: `md-${name}` }));
    this.#byBlock(points).forEach((near, index) => (this.blocks[index].looks = near));
  }

  /** Shows exactly these marks; only what differs from the last call is touched.
   * @param {{id: string, start: number, end: number, classes?: string[], colour?: string, label?: string}[]} marks
   */
  draw(marks) {
    const look = new Map(marks.map((mark) => [mark.id, { mark, signature: signature(mark) }]));
    const near = this.#byBlock(marks);
    this.blocks.forEach((block, index) => {
      const key = (near[index] ?? []).map((mark) => look.get(mark.id).signature).join("|");
      if (block.drawn === key) return;
      this.#drawBlock(block, near[index] ?? [], look);
      block.drawn = key;
    });
  }

  /** The marks that touch each block, in their order; a hole where there are none. */
  #byBlock(marks) {
    const found = [];
    for (const mark of marks) {
      for (let index = this.#blockAt(mark.start); this.blocks[index]?.start < mark.end; index += 1) (found[index] ??= []).push(mark);
    }
    return found;
  }

  /** Index of the block that holds the character at `point`; the last one behind the text. */
  #blockAt(point) {
    let low = 0;
    let high = this.blocks.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.blocks[middle].start <= point) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  #drawBlock(block, marks, look) {
    const looks = new Map(block.looks.map((one) => [one.id, one.look]));
    const next = pieces(block.start, block.end, [...marks, ...block.looks]).map(({ start, end, ids: all }) => {
      const ids = all.filter((id) => look.has(id));
      return { start, end, ids, looks: all.filter((id) => looks.has(id)).map((id) => looks.get(id)), key: `${start}:${end}:${ids.map((id) => look.get(id).signature).join("|")}` };
    });
    const { head, tail } = unchanged(block.pieces, next, (a, b) => a.key === b.key);
    const fresh = next.slice(head, next.length - tail).map((piece) => this.#node(piece, look));
    for (const node of block.nodes.slice(head, block.nodes.length - tail)) node.remove();
    const after = block.nodes[block.nodes.length - tail] ?? null;
    for (const node of fresh) block.element.insertBefore(node, tail ? after : null);
    block.nodes = [...block.nodes.slice(0, head), ...fresh, ...block.nodes.slice(block.nodes.length - tail)];
    block.pieces = next;
  }

  #node(piece, look) {
    const node = document.createElement("span");
    node.dataset.start = String(piece.start);
    node.textContent = visible(this.offsets.slice(piece.start, piece.end));
    const marks = piece.ids.map((id) => look.get(id).mark);
    if (piece.looks.length) node.className = piece.looks.join(" ");
    if (!marks.length) return node;
    node.dataset.spans = piece.ids.join(" ");
    node.className = ["seg", ...piece.looks, ...new Set(marks.flatMap((mark) => mark.classes ?? []))].join(" ");
    marks.slice(0, LANES).forEach((mark, lane) => node.style.setProperty(`--lane-${lane}`, mark.colour ?? "transparent"));
    node.dataset.lanes = String(Math.min(marks.length, LANES));
    if (marks.length > LANES) node.dataset.more = `+${marks.length - LANES}`;
    node.title = marks.map((mark) => mark.label ?? "").filter(Boolean).join(" · ");
    return node;
  }

  /** The code point at a DOM position; null outside the text. */
  pointAt(node, position) {
    const holder = (node.nodeType === Node.TEXT_NODE ? node.parentElement : node)?.closest?.("[data-start]");
    if (holder && this.root.contains(holder)) {
      const start = Number(holder.dataset.start);
      if (node.nodeType === Node.TEXT_NODE) return this.#advance(start, node.data.slice(0, position));
      return position === 0 ? start : this.#advance(start, holder.textContent);
    }
    const block = this.blocks.find((candidate) => candidate.element === node);
    if (block) return block.nodes[position] ? Number(block.nodes[position].dataset.start) : block.end;
    return node === this.root ? (this.blocks[position]?.start ?? this.offsets.length) : null;
  }

  /** Signs are drawn one unit for one, so units of the drawn text are units of the stored one. */
  #advance(start, drawn) {
    return this.offsets.toPoint(this.offsets.toUnit(start) + drawn.length);
  }

  /** The code point under a pointer; the nearest edge of the text outside of it. */
  pointUnder(x, y) {
    const found = document.caretPositionFromPoint?.(x, y);
    if (found && this.root.contains(found.offsetNode)) return this.pointAt(found.offsetNode, found.offset);
    const range = found ? null : document.caretRangeFromPoint?.(x, y);
    if (range && this.root.contains(range.startContainer)) return this.pointAt(range.startContainer, range.startOffset);
    return null;
  }

  /** A DOM range over [start, end), for highlights and for scrolling; null for an empty text. */
  range(start, end) {
    const from = this.#position(start, false);
    const to = this.#position(end, true);
    if (!from || !to) return null;
    const range = document.createRange();
    range.setStart(...from);
    range.setEnd(...to);
    return range;
  }

  #position(point, atEnd) {
    const home = this.blocks[this.#blockAt(atEnd ? point - 1 : point)];
    const index = home.pieces.findLastIndex((piece) => piece.start < point || (!atEnd && piece.start === point));
    const node = home.nodes[Math.max(index, 0)]?.firstChild;
    if (!node) return null;
    const unit = this.offsets.toUnit(point) - this.offsets.toUnit(home.pieces[Math.max(index, 0)].start);
    return [node, Math.max(0, Math.min(unit, node.data.length))];
  }
}

function signature(mark) {
  return `${mark.id}/${mark.start}/${mark.end}/${mark.colour ?? ""}/${(mark.classes ?? []).join(",")}/${mark.label ?? ""}`;
}
