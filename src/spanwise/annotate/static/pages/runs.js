/** The list of runs: filter by name. */

import { listen } from "../keys.js";

const field = document.getElementById("run-filter");
field?.addEventListener("input", () => {
  const wanted = field.value.trim().toLowerCase();
  for (const row of document.querySelectorAll("#runs tbody tr")) row.hidden = !row.dataset.name.toLowerCase().includes(wanted);
});
listen({ filter: () => field?.focus(), refresh: () => location.reload() }, ["Runs"]);
