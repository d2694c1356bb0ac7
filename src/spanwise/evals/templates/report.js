"use strict";
// Without this script the page shows the total of every token; with it the reader chooses the source.
for (const gallery of document.querySelectorAll("[data-gallery]")) {
  const scales = JSON.parse(gallery.dataset.scales);
  const readout = gallery.querySelector(".readout");
  const answers = [...gallery.querySelectorAll("[data-scores]")].map((element) => ({
    scores: JSON.parse(element.dataset.scores),
    tokens: [...element.querySelectorAll(".t")],
  }));
  const paint = (source) => {
    const scale = scales[source] || 0;
    for (const { scores, tokens } of answers) {
      const values = scores[source] || [];
      for (const token of tokens) {
        const value = values[token.dataset.i];
        const strength = scale && value ? Math.abs(value) / scale : 0;
        if (value === null) token.dataset.sign = "?";
        else if (strength >= 0.02) token.dataset.sign = value > 0 ? "+" : "\u2212";
        else delete token.dataset.sign;
        token.style.setProperty("--h", strength.toFixed(3));
      }
    }
    for (const element of gallery.querySelectorAll("[data-scale]")) {
      element.textContent = (element.dataset.scale === "low" ? "\u2212" : "+") + scale.toPrecision(2);
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
