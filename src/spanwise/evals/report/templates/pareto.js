"use strict";
// Without this script every answer stands below the other; with it the dial shows one setting at a time.
for (const dial of document.querySelectorAll("[data-dial]")) {
  const bar = dial.querySelector(".dial-bar");
  const input = bar.querySelector("input");
  const shown = bar.querySelector("output");
  const steps = [...dial.querySelectorAll(".dial-step")];
  const turn = () => {
    for (const step of steps) step.hidden = step.dataset.step !== input.value;
    const position = steps.find((step) => step.dataset.position && !step.hidden)?.dataset.position ?? "";
    shown.textContent = position;
    input.setAttribute("aria-valuetext", position);
  };
  input.addEventListener("input", turn);
  bar.hidden = false;
  turn();
}
