// Chart.js as far as it is used: bars, upright or lying, stacked.

import { BarController, BarElement, CategoryScale, Chart, LinearScale, Tooltip, type ChartConfiguration } from "chart.js";

Chart.register(BarController, BarElement, CategoryScale, LinearScale, Tooltip);

export interface Series {
  name: string;
  /** A custom property of the page's style. */
  color: string;
  values: number[];
}

export interface Drawing {
  labels: string[];
  series: Series[];
  isLying: boolean;
  show: (value: number) => string;
  /** Of a bar, and which of the series stacked in it; of none, where only the bar is known. */
  onPick: (index: number, series: number | null) => void;
}

const MOST_LABEL = 24;

function shortened(label: string): string {
  return label.length <= MOST_LABEL ? label : `${label.slice(0, MOST_LABEL / 2)}…${label.slice(-MOST_LABEL / 2 + 1)}`;
}

/** Draws onto the canvas; the colours are those of the moment. */
export function draw(canvas: HTMLCanvasElement, { labels, series, isLying, show, onPick }: Drawing): Chart {
  const style = getComputedStyle(document.documentElement);
  const color = (name: string) => style.getPropertyValue(name).trim();
  const axis = isLying ? "y" : "x";
  const monospace = { family: color("--monospace"), size: 11 };
  const lines = { color: color("--grid"), drawTicks: false };
  const values = {
    stacked: true,
    beginAtZero: true,
    grid: lines,
    border: { display: false },
    ticks: { color: color("--soft"), maxTicksLimit: isLying ? 3 : 5, padding: 6, callback: (value: string | number) => show(Number(value)) },
  };
  const names = {
    stacked: true,
    grid: { display: false },
    border: { color: color("--line") },
    ticks: {
      color: color(isLying ? "--text" : "--soft"),
      font: isLying ? monospace : undefined,
      autoSkip: !isLying,
      autoSkipPadding: 16,
      maxRotation: 0,
      callback: (_: string | number, index: number) => shortened(labels[index] ?? ""),
    },
  };
  const configuration: ChartConfiguration<"bar"> = {
    type: "bar",
    data: {
      labels,
      datasets: series.map(({ name, color: property, values: data }) => ({
        label: name,
        data,
        backgroundColor: color(property),
        hoverBackgroundColor: color(`${property}-strong`),
        borderRadius: isLying ? 3 : 1,
        barPercentage: isLying ? 0.8 : 0.94,
        categoryPercentage: isLying ? 0.85 : 1,
        maxBarThickness: isLying ? 18 : undefined,
        minBarLength: isLying ? 2 : undefined,
      })),
    },
    options: {
      indexAxis: axis,
      animation: false,
      maintainAspectRatio: false,
      interaction: { mode: "index", axis, intersect: false },
      scales: isLying ? { x: values, y: names } : { x: names, y: values },
      plugins: {
        tooltip: {
          backgroundColor: color("--raised"),
          titleColor: color("--text"),
          bodyColor: color("--text"),
          borderColor: color("--line"),
          borderWidth: 1,
          padding: 10,
          cornerRadius: 8,
          boxPadding: 4,
          displayColors: series.length > 1,
          filter: ({ raw }) => Number(raw) > 0,
          callbacks: { label: ({ dataset, raw }) => `${series.length > 1 ? `${dataset.label}: ` : ""}${show(Number(raw))}` },
        },
      },
      onHover: (_, elements) => {
        canvas.style.cursor = elements.length > 0 ? "pointer" : "default";
      },
      onClick: (event, elements, chart) => {
        const [element] = elements;
        const [exact] = event.native === null ? [] : chart.getElementsAtEventForMode(event.native, "nearest", { intersect: true }, false);
        if (element !== undefined) {
          onPick(element.index, exact?.datasetIndex ?? null);
        }
      },
    },
  };
  // A bar of nothing has no length, whatever the least length is.
  for (const dataset of configuration.data.datasets) {
    dataset.data = dataset.data.map((value) => (value === 0 ? null : value));
  }
  return new Chart(canvas, configuration);
}
