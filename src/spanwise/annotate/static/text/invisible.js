/**
 * Characters that act without being seen - controls and direction marks - drawn as signs of the same length, so that
 * a text cannot show another order than it has and offsets stay what they are.
 */

const SIGNS = {
  "\u202a": "⇢", "\u202b": "⇠", "\u202c": "⇥", "\u202d": "⇢", "\u202e": "⇠",
  "\u2066": "⇢", "\u2067": "⇠", "\u2068": "⇢", "\u2069": "⇥",
  "\u200b": "¦", "\ufeff": "¦", "\u2028": "↵", "\u2029": "↵", "\u0085": "↵", "\u00ad": "¬",
};
const HIDDEN = /[\u0001-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u200b\u2028-\u202e\u2066-\u2069\ufeff]/g;

/** The text as it is shown; as many units as it has. */
export function visible(text) {
  return text.replace(HIDDEN, (sign) => {
    const code = sign.charCodeAt(0);
    return SIGNS[sign] ?? (code < 0x20 ? String.fromCharCode(0x2400 + code) : "␡");
  });
}
