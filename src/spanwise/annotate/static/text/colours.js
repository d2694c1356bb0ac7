/** A scale of 21 steps from orange (negative) over nothing to blue (positive), told apart by colour-blind readers too. */

const STEPS = 10;
const NEGATIVE = [200, 84, 10];
const POSITIVE = [20, 100, 200];

/** The step of a value, from -10 to 10; `full` is the value of full colour. */
export function stepOf(value, full) {
  if (value === null || !full) return 0;
  const step = Math.round((Math.max(-1, Math.min(1, value / full))) * STEPS);
  return step || (Math.abs(value) > full * 0.02 ? Math.sign(value) : 0);
}

/** CSS colour of a step. */
export function colourOf(step) {
  if (!step) return "transparent";
  const [red, green, blue] = step < 0 ? NEGATIVE : POSITIVE;
  return `rgb(${red} ${green} ${blue} / ${(0.08 + (0.82 * Math.abs(step)) / STEPS).toFixed(3)})`;
}

/** Whether text on this step has to be white. */
export const isDark = (step) => Math.abs(step) >= 7;
