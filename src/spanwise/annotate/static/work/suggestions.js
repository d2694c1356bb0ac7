/** Suggestions of a model: shown when asked for, or filled in; each span keeps where it came from. */

import { t } from "../messages.js";
import { forbidden } from "../state/checks.js";
import { newId } from "../state/ids.js";
import { fromBody } from "../state/wire.js";

export function suggestionCommands(store, commands) {
  const add = () => {
    const [suggestion] = store.claim.suggestions;
    const doc = fromBody(suggestion.body, store.item);
    doc.responses.forEach((answer, response) => {
      for (const span of answer.spans) {
        const taken = forbidden(store.project, store.doc.responses[response].spans, span);
        if (taken) continue;
        store.act({ type: "span.add", response, span: { ...span, id: newId(), origin: "accepted", suggestion_id: suggestion.id } });
      }
    });
  };
  return {
    prefill: add,
    show() {
      if (!store.claim.suggestions.length) return commands.say(t("There are no suggestions for this item."));
      add();
      return commands.say(t("Suggestions added. Remove or change what is wrong; undo takes each back."));
    },
  };
}
