"use strict";
// Without this script the page shows the total of every token; with it the reader chooses the source.
for (const gallery of document.querySelectorAll("[data-gallery]")) {
  const scales = JSON.parse(gallery.dataset.scales);
  const readout = gallery.querySelector(".readout");
  const answers = [...gallery.querySelectorAll("[data-tints]")].map((element) => ({
    tints: JSON.parse(element.dataset.tints),
    tokens: [...element.querySelectorAll("[data-i]")],
  }));
  const paint = (source) => {
    for (const { tints, tokens } of answers) {
      for (const token of tokens) {
        const [strength, sign, gap] = tints[source]?.[token.dataset.i] ?? [0, "", 0];
        const isGap = token.className === "gap";
        const shade = isGap ? gap : strength;
        if (sign && !isGap) token.dataset.sign = sign;
        else delete token.dataset.sign;
        token.style.setProperty("--h", Math.abs(shade).toFixed(3));
        token.style.setProperty("--hue", shade > 0 ? "var(--pos)" : "var(--neg)");
      }
    }
    for (const element of gallery.querySelectorAll("[data-scale]")) {
      element.textContent = element.dataset.scale + (scales[source] || 0).toPrecision(2);
    }
  };
  gallery.addEventListener("change", (event) => { if (event.target.name) paint(event.target.value); });
  gallery.addEventListener("click", (event) => {
    const token = event.target.closest(".t");
    if (!token) return;
    gallery.querySelector(".chosen")?.classList.remove("chosen");
    token.classList.add("chosen");
    readout.textContent = token.title;
  });
}
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
