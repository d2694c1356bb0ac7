/** What the pages say, in the language of the page: the catalogue of `messages/`, by the English sentence. */

const language = document.documentElement.lang;
const catalogue = language === "en" ? {} : await loaded(new URL(`./messages/${language}.json`, import.meta.url));

/** Pages that lack their catalogue speak English. */
async function loaded(address) {
  try {
    const response = await fetch(address, { signal: AbortSignal.timeout(10_000) });
    return response.ok ? await response.json() : {};
  } catch {
    return {};
  }
}

/** The message in the page's language; {name} stands for a value. @param {string} message @param {Record<string, any>} [values] */
export function t(message, values = {}) {
  return (catalogue[message] ?? message).replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}
