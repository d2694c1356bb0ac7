"""The page of a trade-off: fronts with intervals, what each setting scores, and a dial that shows its answers.

A function of an experiment folder with `results.json` and `trade_off.json` alone. Without its script the page shows
every answer one below the other.
"""

from collections.abc import Sequence
from pathlib import Path

from spanwise.core import write_text
from spanwise.evals.pages.tradeoff_plot import PlacedSetting, trade_off_plot
from spanwise.evals.report import Cell, Column, Panel, Table, TableRow, dials_of, inline_svg, metric_column, render_page
from spanwise.evals.runs import Coverage, FrontRow, TradeOff, coverage, front_rows
from spanwise.evals.statistics import Arm, Estimate, ExperimentResults, MetricInfo, interval, number

SHARE = MetricInfo(label="Covered", unit="%", better="higher", description="Share of the box from worst to best.")


def write_trade_off(folder: Path, output: Path) -> None:
    """Writes the page of an experiment folder; raises DataError when it holds no trade-off."""
    results, plan = ExperimentResults.load(folder), TradeOff.load(folder)
    plan.check(results, str(folder))
    write_text(output, render_trade_off(results, plan))


def render_trade_off(results: ExperimentResults, plan: TradeOff) -> str:
    """The page as one string."""
    return render_page(
        "tradeoff.html",
        results=results,
        plan=plan,
        panels=trade_off_panels(results, plan),
        table=settings_table(results, plan),
        coverage=coverage_table(coverage(results, plan)),
        dials=dials_of(results, plan),
    )


def trade_off_panels(results: ExperimentResults, plan: TradeOff, name: str = "trade") -> tuple[Panel, ...]:
    """One plot per pair of axes."""
    panels: list[Panel] = []
    for number_, (x, y) in enumerate(plan.axes):
        groups = [
            [_placed(results.arms[arm], position, x, y) for arm, position in _settings(plan, group_index)]
            for group_index in range(len(plan.groups))
        ]
        infos = results.metrics[x], results.metrics[y]
        words = f"{infos[0].label} against {infos[1].label}: " + "; ".join(
            f"{plan.groups[group_index].title} {setting.label}: "
            f"{number(setting.x.mean, infos[0])} and {number(setting.y.mean, infos[1])}"
            for group_index, group in enumerate(groups)
            for setting in group
        )
        svg = inline_svg(trade_off_plot(groups, *infos), f"{name}{number_}", words)
        panels.append(Panel(f"{infos[0].label} and {infos[1].label}", svg))
    return tuple(panels)


def settings_table(results: ExperimentResults, plan: TradeOff) -> Table:
    """Settings down, metrics across, with how often each is on the front of its group."""
    metrics = list(dict.fromkeys(metric for pair in plan.axes for metric in pair))
    shown = [*metrics, *(metric for metric in results.metrics if metric not in metrics)]
    columns = [metric_column(results.metrics[m]) for m in shown]
    rows: list[TableRow] = []
    for group_index, group in enumerate(plan.groups):
        fronts = {row.arm: row for row in front_rows(results, group.arms, metrics)}
        for arm, position in _settings(plan, group_index):
            cells = [_cell(results.arms[arm].metrics.get(m), results.metrics[m]) for m in shown]
            rows.append(
                TableRow(
                    f"{group.title}: {position}",
                    (_front_cell(fronts[arm]), *cells),
                    results.arms[arm].title,
                    group_index,
                )
            )
    return Table((Column("On the front"), *columns), tuple(rows))


def coverage_table(rows: Sequence[Coverage]) -> Table | None:
    """Groups down: the volume each covers, and the difference to the first on the same seeds."""
    if not rows:
        return None
    cells = [
        TableRow(row.title, (_cell(row.volume, SHARE), _cell(row.difference, SHARE, signed=True)), index=index)
        for index, row in enumerate(rows)
    ]
    return Table((Column("Covered", "%"), Column(f"Less {rows[0].title}", "points")), tuple(cells))


def _cell(estimate: Estimate | None, info: MetricInfo, *, signed: bool = False) -> Cell:
    if estimate is None:
        return Cell(number(None, info))
    note = f"{estimate.unscored:,} could not be scored" if estimate.unscored else ""
    return Cell(number(estimate.mean, info, signed=signed), interval(estimate, info, signed=signed), note)


def _front_cell(row: FrontRow) -> Cell:
    return Cell("yes" if row.on_front else "no", note="", interval=f"in {row.seeds_on_front} of {row.seeds} seeds")


def _settings(plan: TradeOff, group_index: int) -> list[tuple[str, str]]:
    group = plan.groups[group_index]
    return list(zip(group.arms, group.positions, strict=True))


def _placed(arm: Arm, position: str, x: str, y: str) -> PlacedSetting:
    missing = Estimate(mean=None)
    return PlacedSetting(position, arm.metrics.get(x, missing), arm.metrics.get(y, missing))
