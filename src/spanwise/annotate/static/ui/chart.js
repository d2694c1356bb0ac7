/** One metric of one or more runs as a plot (uPlot): smoothed line, faint raw range, gaps where there is no number. */

import { t } from "../messages.js";
import uPlot from "../vendor/uplot.js";
import { html, useEffect, useMemo, useRef } from "../vendor/preact-htm.js";

const COLOURS = ["#1a6fc4", "#c4540a", "#07845f", "#a2488a", "#856a00", "#6a45a8"];

export function colourOf(index) {
  return COLOURS[index % COLOURS.length];
}

/** An exponential mean that gaps do not stop. */
export function smoothed(values, weight) {
  if (!weight) return values;
  let mean = null;
  return values.map((value) => {
    if (value === null) return null;
    mean = mean === null ? value : weight * mean + (1 - weight) * value;
    return mean;
  });
}

/** Steps of all runs on one axis, with line, low and high of each. */
export function joined(name, runs, weight) {
  const found = runs.map((run) => run.series[name]).filter(Boolean);
  const steps = [...new Set(found.flatMap((series) => series.steps))].sort((a, b) => a - b);
  const data = [steps];
  for (const run of runs) {
    const series = run.series[name];
    const at = new Map((series?.steps ?? []).map((step, index) => [step, index]));
    const column = (values) => steps.map((step) => (at.has(step) ? values[at.get(step)] : undefined));
    if (series) data.push(column(series.low), column(series.high), column(smoothed(series.mean, weight)));
    else data.push(...Array.from({ length: 3 }, () => steps.map(() => null)));
  }
  return data;
}

export function Chart({ name, runs, log, smoothing, open }) {
  const box = useRef(null);
  const plot = useRef(null);
  const data = useMemo(() => joined(name, runs, smoothing), [name, runs, smoothing]);
  const positive = data.slice(1).every((column) => column.every((value) => value === null || value === undefined || value > 0));
  const shape = `${runs.length} ${log && positive} ${smoothing > 0}`;
  useEffect(() => {
    plot.current = new uPlot(options({ width: box.current.clientWidth || 340, runs, log: log && positive, faint: smoothing > 0, open }), data, box.current);
    const resized = new ResizeObserver(([entry]) => plot.current.setSize({ width: Math.max(200, Math.floor(entry.contentRect.width)), height: 170 }));
    resized.observe(box.current);
    return () => {
      resized.disconnect();
      plot.current.destroy();
    };
  }, [shape]);
  useEffect(() => plot.current?.setData(data), [data]);
  const shown = Math.max(...runs.map((run) => run.series[name]?.steps.length ?? 0));
  const total = Math.max(...runs.map((run) => run.series[name]?.total ?? 0));
  const last = runs[0].series[name]?.mean.at(-1);
  const said = t("{name}: {total} points, the last {last}", { name, total, last: last ?? t("without a number") });
  return html`<figure class="chart" data-chart=${name}><h3><span>${name}</span><small>${last === null || last === undefined ? "" : short(last)} · ${shown < total ? t("{shown} of {total} points", { shown, total }) : t("{total} points", { total })}</small></h3><div ref=${box} role="img" aria-label=${said}></div></figure>`;
}

function options({ width, runs, log, faint, open }) {
  const colour = (name) => {
    const probe = document.createElement("i");
    probe.style.color = `var(${name})`;
    document.body.append(probe);
    const found = getComputedStyle(probe).color;
    probe.remove();
    return found;
  };
  const axis = { stroke: colour("--muted"), grid: { stroke: colour("--rule"), width: 1 }, ticks: { show: false }, font: "11px system-ui, sans-serif" };
  const series = runs.flatMap((run, index) => [
    { stroke: faint ? `${colourOf(index)}55` : "transparent", width: 1, points: { show: false } },
    { stroke: "transparent", points: { show: false } },
    { label: run.name, stroke: colourOf(index), width: 1.6, spanGaps: false, points: { show: false } },
  ]);
  const bands = runs.map((run, index) => ({ series: [2 + 3 * index, 1 + 3 * index], fill: `${colourOf(index)}2e` }));
  return {
    width, height: 170, legend: { show: false }, cursor: { sync: { key: "run" }, y: false, drag: { x: true, y: false } },
    scales: { x: { time: false }, y: log ? { distr: 3 } : {} },
    axes: [{ ...axis, size: 26 }, { ...axis, size: 48, values: (_, ticks) => ticks.map((tick) => (tick === null ? "" : short(tick))) }],
    series: [{}, ...series], bands,
    hooks: { ready: [(plot) => plot.over.addEventListener("dblclick", () => openAt(plot, runs, open))] },
  };
}

function openAt(plot, runs, open) {
  const index = plot.cursor.idx;
  if (index !== null && index !== undefined) open(runs[0].id, plot.data[0][index]);
}

function short(value) {
  if (value === 0) return "0";
  const size = Math.abs(value);
  const text = size >= 1e5 || size < 1e-3 ? value.toExponential(1) : String(Number(value.toPrecision(4)));
  return text.replace("-", "−");
}
