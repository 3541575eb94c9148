// The page: files go to the service, and its answers into the history.

const MODEL = JSON.parse(document.getElementById("model").textContent);
const KEPT = 50; // answers in the history
const TRIES = 5; // of a request that the service is too busy for
const AT_ONCE = 2; // requests
const CHANNELS = MODEL.channels === "mono" ? 1 : 2;
const at = (id) => document.getElementById(id);
const percent = (share) => `${(100 * share).toFixed(1)} %`;

// ---- what is shown

function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

function complain(message) {
  at("alert").textContent = message;
  at("alert").hidden = !message;
}

// Name, bar and share of each label; gives a function that shows other shares.
function bars(parent) {
  const rows = MODEL.labels.map((label) => {
    const [name, bar, share] = [make("span", "name", label), make("div", "bar"), make("span", "number")];
    parent.append(name, bar, share);
    return { name, bar, share };
  });
  return (shares) => {
    const top = shares.indexOf(Math.max(...shares));
    rows.forEach(({ name, bar, share }, i) => {
      bar.style.setProperty("--share", shares[i]);
      share.textContent = percent(shares[i]);
      name.classList.toggle("first", i === top);
    });
  };
}

// Takes an answer out of the history, and its recording out of memory.
function forget(item) {
  for (const player of item.querySelectorAll("audio")) URL.revokeObjectURL(player.src);
  item.remove();
}

// A line in the history; `details` are elements that it unfolds to. Gives what changes its answer.
function remember(name) {
  const item = make("li", "card");
  const entry = make("details", "plain"); // nothing to unfold yet
  const line = make("summary");
  const answer = make("span", "answer soft", "…");
  line.append(answer, make("span", "name", name), make("span", "soft small number", new Date().toLocaleTimeString()));
  entry.append(line);
  item.append(entry);
  at("history").prepend(item);
  while (at("history").children.length > KEPT) forget(at("history").lastElementChild);
  at("empty").hidden = true;
  at("clear").hidden = false;
  return (text, kind, details = []) => {
    answer.textContent = text;
    answer.className = `answer ${kind}`;
    at("status").textContent = `${name}: ${text}`;
    entry.append(...details);
    entry.classList.toggle("plain", details.length === 0);
  };
}

// ---- files

async function send(file, name) {
  const body = new FormData();
  body.append("files", file, name);
  for (let attempt = 1; ; attempt++) {
    const response = await fetch("predict?picture=true", { method: "POST", body });
    if (response.status === 429 && attempt < TRIES) {
      const wait = Number(response.headers.get("Retry-After")) || 1;
      await new Promise((done) => setTimeout(done, 1000 * wait));
      continue;
    }
    const answer = await response.json().catch(() => ({})); // a proxy answers with a page of its own
    if (!answer.results) throw new Error(answer.detail || `the service answered ${response.status}`);
    return answer.results[0];
  }
}

function playerOf(file) {
  const player = make("audio");
  player.controls = true;
  player.preload = "none";
  player.src = URL.createObjectURL(file);
  return player;
}

// What each window's own answer is, as a strip that a pointer can ask and as words.
function windowsOf(windows) {
  const strip = make("div", "windows");
  const answers = windows.map((shares) => {
    const top = Math.max(...shares);
    const label = MODEL.labels[shares.indexOf(top)];
    const cell = make("span", "", label);
    cell.style.setProperty("--share", top);
    cell.title = `${label} ${percent(top)}`;
    strip.append(cell);
    return label;
  });
  const runs = [];
  for (const label of answers) {
    if (runs.length && runs[runs.length - 1][0] === label) runs[runs.length - 1][1]++;
    else runs.push([label, 1]);
  }
  const words = runs.slice(0, 12).map(([label, count]) => (count > 1 ? `${label} × ${count}` : label)).join(", ");
  const more = runs.length > 12 ? ", …" : "";
  return [make("p", "soft small", `Its ${windows.length} windows, each by itself: ${words}${more}`), strip];
}

async function classify(file, name) {
  const show = remember(name);
  let result;
  try {
    if (file.size > MODEL.limits.max_body) {
      throw new Error(`larger than ${MODEL.limits.max_body.toLocaleString()} bytes, which is what this service takes`);
    }
    await file.slice(0, 1).arrayBuffer().catch(() => {
      throw new Error("cannot be read: give a file, not a folder, that is still there");
    });
    result = await send(file, name);
  } catch (error) {
    show(error instanceof TypeError ? "the service cannot be reached" : error.message, "bad", [playerOf(file)]);
    return;
  }
  if (result.error) {
    show(result.error.replace(`${name}: `, ""), "bad", [playerOf(file)]);
    return;
  }
  const shares = MODEL.labels.map((label) => result.probabilities[label]);
  const details = [];
  if (result.picture) {
    const canvas = make("canvas", "spectrogram");
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", `Spectrogram of the first ${result.picture.seconds} s, as the network sees it`);
    drawSpectrogram(canvas, bytesOf(result.picture.levels), result.picture.bands, result.picture.frames);
    details.push(canvas);
  }
  details.push(playerOf(file));
  if (result.windows > 1) details.push(...windowsOf(result.window_probabilities));
  const list = make("div", "bars");
  bars(list)(shares);
  details.push(list);
  const text = `${result.label} ${percent(Math.max(...shares))}`;
  show(result.unsure ? `unsure: ${text}` : text, result.unsure ? "unsure" : "good", details);
}

async function classifyAll(files) {
  complain("");
  const waiting = [...files];
  const worker = async () => {
    while (waiting.length) {
      const file = waiting.shift();
      await classify(file, file.name);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

at("choose").addEventListener("click", () => at("files").click());
at("files").addEventListener("change", async () => {
  await classifyAll(at("files").files);
  at("files").value = "";
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
at("clear").addEventListener("click", () => {
  for (const item of [...at("history").children]) forget(item);
  at("clear").hidden = true;
  at("empty").hidden = false;
  at("choose").focus();
});
