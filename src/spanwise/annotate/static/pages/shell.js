/** On every page: the look that the person chose in this browser. */

export const LOOK = "spanwise.look";

export function look() {
  try {
    return JSON.parse(localStorage.getItem(LOOK) ?? "{}");
  } catch {
    return {};
  }
}

export function wear(chosen = look()) {
  const { dataset } = document.documentElement;
  for (const [name, value] of [["theme", chosen.theme], ["size", chosen.size], ["contrast", chosen.contrast && "high"], ["still", chosen.still && "still"]]) {
    if (value) dataset[name] = value;
    else delete dataset[name];
  }
}

wear();
