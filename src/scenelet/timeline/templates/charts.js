// Picture of the page: a row per day or recording, with a lane per label. `DATA` is what timeline/page.py collected.

const DATA = JSON.parse(document.getElementById("data").textContent);
const COLORS = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8c6bb1", "#8a8a00"];
const MAX_DISTANCE = 40; // between a click and a bar, px
const colorOf = (label) => COLORS[label % COLORS.length];
const percent = (value) => `${(100 * value).toFixed(1)} %`;

function make(tag, className, text = "") {
  const element = document.createElement(tag);
  element.className = className;
  element.textContent = text;
  return element;
}

// Letter of a label, on its color.
function makeLetter(label) {
  const letter = make("span", "letter", DATA.labels[label].letter);
  letter.style.setProperty("--color", colorOf(label));
  return letter;
}

// Draws all charts; `onChoose` is called with the number of an event when its bar is clicked.
function drawCharts(parent, onChoose) {
  for (const chart of DATA.charts) {
    const box = make("div", "chart");
    for (const row of chart.rows) box.append(make("div", "title", row.title), makeLanes(chart, row, onChoose));
    box.append(makeAxis(chart.ticks));
    parent.append(box);
  }
}

function makeAxis(ticks) {
  const axis = make("div", "axis");
  for (const { position, text } of ticks) {
    const tick = make("span", position > 0.97 ? "last" : "", text);
    tick.style.left = `${100 * position}%`;
    axis.append(tick);
  }
  return axis;
}

function makeLanes(chart, row, onChoose) {
  const lanes = make("div", "lanes");
  const position = (seconds) => (100 * (seconds - chart.low)) / (chart.high - chart.low);
  lanes.style.height = `calc(${Math.max(1, DATA.labels.length)} * var(--lane))`;
  lanes.setAttribute("role", "img");
  lanes.setAttribute("aria-label", describe(row));
  for (const [from, to] of row.spans) {
    const recorded = make("div", "recorded");
    recorded.style.left = `${position(from)}%`;
    recorded.style.width = `${position(to) - position(from)}%`;
    lanes.append(recorded);
  }
  DATA.labels.forEach(({ letter }, k) => {
    const name = make("div", "lane", letter);
    name.style.top = `calc(${k} * var(--lane))`;
    lanes.append(name);
  });
  for (const [from, to, number] of row.bars) {
    const { label, probability, when } = DATA.events[number];
    const bar = make("div", "bar");
    bar.style.cssText = `left: ${position(from)}%; width: ${position(to) - position(from)}%;`;
    bar.style.top = `calc(${label} * var(--lane) + 1px)`;
    bar.style.setProperty("--color", colorOf(label));
    bar.dataset.event = number;
    bar.title = `${when}: ${DATA.labels[label].name}, ${percent(probability)}`;
    lanes.append(bar);
  }
  lanes.addEventListener("click", (event) => {
    const nearest = nearestBar(lanes, event.clientX, event.clientY);
    if (nearest !== null) onChoose(nearest);
  });
  return lanes;
}

function describe(row) {
  const counts = DATA.labels.map((_, k) => row.bars.filter(([, , number]) => DATA.events[number].label === k).length);
  const words = counts.map((count, k) => (count ? `${DATA.labels[k].name} ${count}` : "")).filter(Boolean);
  return `${row.title}: ${words.join(", ") || "no events"}`;
}

// Number of the event whose bar is nearest to a point, or null. Bars that the label filter dims do not count.
function nearestBar(lanes, x, y) {
  let nearest = null;
  let smallest = MAX_DISTANCE;
  for (const bar of lanes.querySelectorAll(".bar:not(.off)")) {
    const box = bar.getBoundingClientRect();
    const distance = Math.hypot(Math.max(box.left - x, 0, x - box.right), Math.max(box.top - y, 0, y - box.bottom));
    if (distance < smallest) [nearest, smallest] = [Number(bar.dataset.event), distance];
  }
  return nearest;
}
