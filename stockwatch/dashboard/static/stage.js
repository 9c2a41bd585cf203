// One component for all charts: cards with plotly inside. Plotly.react keeps zoom and hover; refreshes never remount.
// Figures come in the light palette's colours; in a dark page each is replaced by its dark twin.

const DARK = {
  "#FFFFFF": "#0D1217", "#10171E": "#EAEFF4", "#4A5764": "#A9B5C1", "#66727F": "#8794A1", "#08757D": "#3CC4CB",
  "#C4470B": "#FF8F4A", "#E9EDF1": "#1C252D", "#DCE2E8": "#28323C", "#E6EAEE": "#232C35",
  "rgba(8,117,125,0.16)": "rgba(60,196,203,0.24)", "rgba(196,71,11,0.16)": "rgba(255,143,74,0.24)",
  "rgba(106,43,192,0.14)": "rgba(181,140,255,0.22)",
};
const CONFIG = { displayModeBar: false, scrollZoom: true, responsive: true, doubleClick: false, showTips: false };

let loading;
function plotly() {
  if (window.Plotly) return Promise.resolve(window.Plotly);
  loading ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = "/stockwatch/plotly.min.js";
    script.onload = () => resolve(window.Plotly);
    script.onerror = () => { loading = undefined; reject(new Error("plotly.min.js did not load")); };
    document.head.append(script);
  });
  return loading;
}

function isDark(element) {
  const [r, g, b] = (getComputedStyle(element).getPropertyValue("--st-background-color").match(/[0-9a-f]{2}/gi) ?? [])
    .map((part) => parseInt(part, 16));
  return r + g + b < 384;
}

function figureOf(text, dark) {
  if (!dark) return JSON.parse(text);
  return JSON.parse(text.replace(/#[0-9A-F]{6}|rgba\([0-9,.]+\)/g, (colour) => DARK[colour] ?? colour));
}

// Labels keep 56 px each (46 on phones): every second, third … one stays.
function thinLabels(layout, width) {
  const { tickvals, ticktext } = layout.xaxis;
  if (!tickvals || width === 0) return;
  const room = (width - layout.margin.l - layout.margin.r) / (width < 420 ? 46 : 56);
  const every = Math.ceil(tickvals.length / room);
  layout.xaxis.tickvals = tickvals.filter((_, number) => number % every === 0);
  layout.xaxis.ticktext = ticktext.filter((_, number) => number % every === 0);
}

function card(root, name) {
  let found = root.querySelector(`[data-card="${name}"]`);
  if (!found) {
    found = document.createElement("section");
    found.dataset.card = name;
    found.className = "sw-card";
    found.innerHTML = '<header><h2></h2><span class="sw-tags"></span><span class="sw-said"></span></header>' +
      '<div class="sw-legend" aria-hidden="true"></div><div class="sw-plot" role="img"></div>';
    root.append(found);
  }
  return found;
}

async function draw(root, name, part, dark) {
  const box = card(root, name);
  box.part = part;
  box.querySelector("h2").textContent = part.title;
  box.querySelector(".sw-tags").innerHTML = part.tags.map(([word, kind]) => `<b class="sw-tag sw-${kind}">${word}</b>`).join("");
  if (!box.dataset.hovered) box.querySelector(".sw-said").innerHTML = part.said;
  box.querySelector(".sw-legend").innerHTML = part.legend ?? "";
  const plot = box.querySelector(".sw-plot");
  plot.setAttribute("aria-label", part.summary);
  const key = part.figure + dark;
  if (plot.drawn === key) return;
  plot.drawn = key;
  const figure = figureOf(part.figure, dark);
  const Plotly = await plotly();
  const first = !plot.data;
  if (plot.of !== part.of) { plot.of = part.of; plot.held = {}; }  // another ticker: its own view
  thinLabels(figure.layout, plot.clientWidth);
  for (const [axis, range] of Object.entries(plot.held)) figure.layout[axis].range = range;
  await Plotly.react(plot, figure.data, figure.layout, CONFIG);
  plot.said = part.hover ?? [];
  if (!first) return;
  // What the reader set stays, whatever the next figures say: plotly's uirevision gives way to a range that moves.
  plot.on("plotly_relayout", (changed) => {
    for (const axis of ["xaxis", "yaxis"]) {
      if (Object.keys(changed).some((key) => key.startsWith(`${axis}.range`))) plot.held[axis] = [...plot.layout[axis].range];
    }
  });
  plot.on("plotly_doubleclick", () => {
    plot.held = {};
    plot.drawn = undefined;
    draw(root, name, box.part, dark);
  });
  plot.on("plotly_hover", (event) => {
    const words = plot.said[event.points[0].pointNumber];
    if (words && part.hover) { box.dataset.hovered = "1"; box.querySelector(".sw-said").innerHTML = words; }
  });
  plot.on("plotly_unhover", () => { delete box.dataset.hovered; box.querySelector(".sw-said").innerHTML = box.said; });
}

export default function (component) {
  const { data, parentElement } = component;
  const root = parentElement.querySelector(".sw-stage");
  root.classList.add(`sw-${data.layout}`);
  const dark = isDark(root);
  root.classList.toggle("sw-dark", dark);
  for (const [name, part] of Object.entries(data.cards)) {
    card(root, name).said = part.said;
    draw(root, name, part, dark).catch((error) => {
      card(root, name).querySelector(".sw-said").textContent = `The chart cannot be drawn: ${error.message}`;
    });
  }
}
