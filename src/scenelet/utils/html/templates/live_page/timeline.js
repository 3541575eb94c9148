// Timeline of a recording: its spectrogram, the label of each window, and a time axis, with a line that follows the player.

const SERIES_COLORS = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#8c6bb1"];
const OTHER_COLOR = "#8a8a8a";
const MAX_BINS = 300; // more windows are averaged
const MAX_RUNS = 12; // of equal labels that are read aloud
const TICK_SECONDS = [0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200];
const MAX_TICKS = 5;

// Writes a time in a recording of the given length.
function clock(time, length) {
  if (length < 10) return `${time.toFixed(1)} s`;
  return `${Math.floor(time / 60)}:${String(Math.floor(time % 60)).padStart(2, "0")}`;
}

// Joins neighboring windows with the same answer; returns [{label, isSure, probability, start, end}].
function findRuns(windows, seconds) {
  const bins = Math.min(windows.length, MAX_BINS);
  const hop = Math.min(MODEL.hop_seconds, seconds);
  const runs = [];
  for (let bin = 0; bin < bins; bin++) {
    const first = Math.floor((bin * windows.length) / bins);
    const last = Math.floor(((bin + 1) * windows.length) / bins);
    const rows = windows.slice(first, last).filter((row) => row.some((value) => value > 0)); // silent rows are 0
    const means = MODEL.labels.map((_, i) => rows.reduce((sum, row) => sum + row[i], 0) / rows.length);
    const isSilent = rows.length === 0;
    const probability = isSilent ? 0 : Math.max(...means);
    const top = means.indexOf(probability);
    const label = isSilent ? "silence" : MODEL.labels[top];
    const isSure = isSilent || probability >= (MODEL.thresholds[top] ?? Infinity); // null: never sure
    const end = bin === bins - 1 ? seconds : Math.min(last * hop, seconds);
    const previous = runs[runs.length - 1];
    if (previous && previous.label === label && previous.isSure === isSure) {
      previous.probability = Math.max(previous.probability, probability);
      previous.end = end;
    } else {
      runs.push({ label, isSure, probability, start: Math.min(first * hop, seconds), end });
    }
  }
  return runs;
}

// Returns the strip of labels and its legend. The labels with most seconds have a color of their own.
function makeStrip(runs, seconds) {
  const lengths = new Map();
  for (const { label, start, end } of runs) lengths.set(label, (lengths.get(label) || 0) + end - start);
  const ranked = [...lengths.keys()].sort((a, b) => lengths.get(b) - lengths.get(a));
  const colorOf = (label) => SERIES_COLORS[ranked.indexOf(label)] || OTHER_COLOR;
  const strip = make("div", "strip");
  strip.setAttribute("role", "img");
  const words = runs.slice(0, MAX_RUNS).map(({ label, start }) => `${label} from ${clock(start, seconds)}`).join(", ");
  strip.setAttribute("aria-label", `Labels over time: ${words}${runs.length > MAX_RUNS ? ", and more" : ""}`);
  for (const run of runs) {
    const part = make("span", run.isSure ? "" : "pale");
    part.style.setProperty("--color", colorOf(run.label));
    part.style.flexGrow = Math.max(run.end - run.start, 1e-6);
    const times = `${clock(run.start, seconds)} to ${clock(run.end, seconds)}`;
    const share = MODEL.labels.includes(run.label) ? ` ${percent(run.probability)}` : "";
    part.title = `${times}: ${run.isSure ? "" : "unsure, "}${run.label}${share}`;
    strip.append(part);
  }
  const legend = make("ul", "legend small");
  const named = ranked.slice(0, SERIES_COLORS.length);
  const others = ranked.slice(SERIES_COLORS.length);
  const add = (color, text) => {
    const item = make("li", "", text);
    item.style.setProperty("--color", color);
    legend.append(item);
  };
  for (const label of named) add(colorOf(label), `${label} ${clock(lengths.get(label), seconds)}`);
  if (others.length) add(OTHER_COLOR, `${others.length} other labels`);
  if (runs.some(({ isSure }) => !isSure)) legend.append(make("li", "plain soft", "pale: unsure"));
  return [strip, legend];
}

function makeAxis(seconds) {
  const axis = make("div", "axis soft small number");
  const step = TICK_SECONDS.find((tick) => seconds / tick <= MAX_TICKS) || seconds;
  for (let time = 0; time < 0.78 * seconds; time += step) {
    const tick = make("span", "", clock(time, seconds));
    tick.style.left = `${(100 * time) / seconds}%`;
    axis.append(tick);
  }
  axis.append(make("span", "end", clock(seconds, seconds)));
  return axis;
}

// Returns the elements of the timeline of a result, above its player.
function makeTimeline(result, player) {
  const { levels, bands, frames, seconds } = result.spectrogram;
  const figure = make("figure", "timeline");
  const track = make("div", "track");
  const canvas = make("canvas", "spectrogram");
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `Spectrogram of all ${clock(seconds, seconds)}, low frequencies at the bottom`);
  drawSpectrogram(canvas, levels, bands, frames);
  const cursor = make("div", "cursor");
  cursor.hidden = true;
  track.append(canvas, cursor);
  const extra = [];
  if (result.windows > 1) {
    const [strip, legend] = makeStrip(findRuns(result.window_probabilities, seconds), seconds);
    track.append(strip);
    extra.push(legend);
  }
  player.addEventListener("timeupdate", () => {
    cursor.hidden = false;
    cursor.style.left = `${Math.min(100, (100 * player.currentTime) / seconds)}%`;
  });
  track.addEventListener("click", (event) => {
    const { left, width } = track.getBoundingClientRect();
    player.currentTime = (seconds * (event.clientX - left)) / width;
  });
  const what = result.windows > 1 ? `its ${result.windows} windows of ${MODEL.window_seconds} s, and their labels`
    : "the model's only window";
  const caption = `Sound of the whole recording (pitch upwards, loud is bright), ${what}. The line follows the player.`;
  figure.append(track, makeAxis(seconds), ...extra, make("figcaption", "soft small", caption));
  return figure;
}
