/** On every page: the look that the person chose in this browser, and the way back in for who was logged out. */

import { LOGGED_OUT } from "../api.js";

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
  for (const [name, value] of [["theme", chosen.theme], ["size", chosen.size], ["contrast", chosen.contrast && "high"], ["still", chosen.still && "still"], ["font", chosen.mono && "mono"], ["source", chosen.source && "source"]]) {
    if (value) dataset[name] = value;
    else delete dataset[name];
  }
}

wear();
document.querySelector(".top nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });

window.addEventListener(LOGGED_OUT, async () => {
  const { askForLogin } = await import("../ui/login.js");
  askForLogin();
});
