"""The study `sim_arms`."""
