// The page: lists the predictions for files in the history.
//
// They come from PREDICTOR, which each page defines in a script of its own:
//   captureUrl: address of capture.js.
//   predict(file, name): promise of a result as in `scenelet.server.schemas.RecordingResult`, with `levels` as a
//     Uint8Array. It rejects with an Error whose message the history shows.
//   openStream(sampleRate, channels, onPrediction, onError): {push, close}. `push` takes blocks of interleaved samples,
//     `onPrediction` gets the messages of the WebSocket that have the type "prediction", and `onError` gets a sentence.

const MODEL = JSON.parse(document.getElementById("model").textContent);
const MAX_HISTORY = 50;
const PARALLEL_FILES = 2;
const CHANNELS = MODEL.channels === "mono" ? 1 : 2;
const byId = (id) => document.getElementById(id);
const percent = (fraction) => `${(100 * fraction).toFixed(1)} %`;

// ---- display

function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

function showError(message) {
  byId("alert").textContent = message;
  byId("alert").hidden = !message;
}

// Adds a name, a bar and a percentage for each label; returns a function that shows probabilities.
function makeBars(parent) {
  const rows = MODEL.labels.map((label) => {
    const [name, bar, value] = [make("span", "name", label), make("div", "bar"), make("span", "number")];
    parent.append(name, bar, value);
    return { name, bar, value };
  });
  return (probabilities) => {
    const top = probabilities.indexOf(Math.max(...probabilities));
    rows.forEach(({ name, bar, value }, i) => {
      bar.style.setProperty("--share", probabilities[i]);
      value.textContent = percent(probabilities[i]);
      name.classList.toggle("first", i === top);
    });
  };
}

// Removes an entry from the history, and its recording from memory.
function removeFromHistory(item) {
  for (const player of item.querySelectorAll("audio")) URL.revokeObjectURL(player.src);
  item.remove();
}

// Adds an entry to the history; returns a function that sets its text, its class, and the elements it unfolds to.
function addToHistory(name) {
  const item = make("li", "card");
  const entry = make("details", "plain"); // nothing to unfold yet
  const line = make("summary");
  const answer = make("span", "answer soft", "…");
  const title = make("span", "name", name);
  line.append(answer, title, make("span", "soft small number", new Date().toLocaleTimeString()));
  entry.append(line);
  item.append(entry);
  byId("history").prepend(item);
  while (byId("history").children.length > MAX_HISTORY) removeFromHistory(byId("history").lastElementChild);
  byId("empty").hidden = true;
  byId("clear").hidden = false;
  return (text, kind, details = [], isOpen = false) => {
    title.hidden = text.startsWith(name);
    answer.textContent = text;
    answer.className = `answer ${kind}`;
    byId("status").textContent = `${name}: ${text}`;
    entry.append(...details);
    entry.classList.toggle("plain", details.length === 0);
    entry.open = isOpen;
  };
}

// ---- files

function makePlayer(file) {
  const player = make("audio");
  player.controls = true;
  player.preload = "none";
  player.src = URL.createObjectURL(file);
  return player;
}

// Classifies a file; `batch.isFirst` tells whether its card is the one that opens.
async function classify(file, name, batch = { isFirst: true }) {
  const show = addToHistory(name);
  let result;
  try {
    const maxBytes = MODEL.limits.max_body_bytes;
    if (file.size > maxBytes) {
      throw new Error(`is larger than ${maxBytes.toLocaleString()} bytes, the limit of this page; cut it into shorter recordings`);
    }
    await file.slice(0, 1).arrayBuffer().catch(() => {
      throw new Error("cannot be read; choose an existing file, not a folder");
    });
    result = await PREDICTOR.predict(file, name);
  } catch (error) {
    result = { error: error.message };
  }
  if (result.error) {
    const text = result.error.startsWith(`${name}: `) ? result.error : `${name}: ${result.error}`;
    show(text, "bad", file.size > 0 ? [makePlayer(file)] : []);
    return;
  }
  const player = makePlayer(file);
  const probabilities = MODEL.labels.map((label) => result.probabilities[label]);
  const details = result.spectrogram ? [makeTimeline(result, player), player] : [player];
  const list = make("div", "bars");
  makeBars(list)(probabilities);
  details.push(list, ...(result.notes || []).map((note) => make("p", "unsure small", note)));
  const hasClass = MODEL.labels.includes(result.label); // otherwise it is silent or too short
  const text = hasClass ? `${result.label} ${percent(Math.max(...probabilities))}` : result.label;
  show(hasClass && result.unsure ? `unsure: ${text}` : text, result.unsure ? "unsure" : "good", details, batch.isFirst);
  batch.isFirst = false;
}

async function classifyAll(files) {
  showError("");
  const queue = [...files];
  const batch = { isFirst: true };
  const worker = async () => {
    while (queue.length) {
      const file = queue.shift();
      await classify(file, file.name, batch);
    }
  };
  await Promise.all(Array.from({ length: PARALLEL_FILES }, worker));
}

byId("choose").addEventListener("click", () => byId("files").click());
byId("files").addEventListener("change", async () => {
  await classifyAll(byId("files").files);
  byId("files").value = "";
});
for (const kind of ["dragenter", "dragover"]) {
  addEventListener(kind, (event) => {
    event.preventDefault();
    document.body.classList.add("over");
  });
}
addEventListener("dragleave", (event) => {
  if (event.relatedTarget === null) document.body.classList.remove("over");
});
addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("over");
  classifyAll(event.dataTransfer.files);
});
byId("clear").addEventListener("click", () => {
  for (const item of [...byId("history").children]) removeFromHistory(item);
  byId("clear").hidden = true;
  byId("empty").hidden = false;
  byId("choose").focus();
});
