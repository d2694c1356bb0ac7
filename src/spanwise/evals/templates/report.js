"use strict";
// Without this script the page shows the total of every token; with it the reader chooses the source.
for (const gallery of document.querySelectorAll("[data-gallery]")) {
  const scales = JSON.parse(gallery.dataset.scales);
  const readout = gallery.querySelector(".readout");
  const answers = [...gallery.querySelectorAll("[data-tints]")].map((element) => ({
    tints: JSON.parse(element.dataset.tints),
    tokens: [...element.querySelectorAll(".t")],
  }));
  const paint = (source) => {
    for (const { tints, tokens } of answers) {
      for (const token of tokens) {
        const [strength, sign] = tints[source]?.[token.dataset.i] ?? [0, ""];
        if (sign) token.dataset.sign = sign;
        else delete token.dataset.sign;
        token.style.setProperty("--h", Math.abs(strength).toFixed(3));
        token.style.setProperty("--hue", strength > 0 ? "var(--pos)" : "var(--neg)");
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
