/** Spends the one-time address at once, so that opening it is enough. */
document.getElementById("once").requestSubmit();
