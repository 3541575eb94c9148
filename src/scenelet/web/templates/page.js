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
  while (at("history").children.length > KEPT) at("history").lastElementChild.remove();
  at("empty").hidden = true;
  at("clear").hidden = false;
  return (text, kind, details = []) => {
    answer.textContent = text;
    answer.className = `answer ${kind}`;
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
    const answer = await response.json();
    if (!answer.results) throw new Error(answer.detail || `the service answered ${response.status}`);
    return answer.results[0];
  }
}

async function classify(file, name) {
  const show = remember(name);
  let result;
  try {
    if (file.size > MODEL.limits.max_body) {
      throw new Error(`larger than ${MODEL.limits.max_body.toLocaleString()} bytes, which is what this service takes`);
    }
    result = await send(file, name);
  } catch (error) {
    show(error instanceof TypeError ? "the service cannot be reached" : error.message, "bad");
    return;
  }
  if (result.error) {
    show(result.error.replace(`${name}: `, ""), "bad");
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
  const player = make("audio");
  player.controls = true;
  player.preload = "none";
  player.src = URL.createObjectURL(file);
  details.push(player);
  if (result.windows.length > 1) {
    const strip = make("div", "windows");
    const index = MODEL.labels.indexOf(result.label);
    result.windows.forEach((window, i) => {
      const cell = make("span");
      cell.style.setProperty("--share", window[index]);
      cell.title = `window ${i + 1}: ${result.label} ${percent(window[index])}`;
      strip.append(cell);
    });
    details.push(make("p", "soft small", `${result.label} in each of ${result.windows.length} windows`), strip);
  }
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
  for (const player of at("history").querySelectorAll("audio")) URL.revokeObjectURL(player.src);
  at("history").replaceChildren();
  at("clear").hidden = true;
  at("empty").hidden = false;
  at("choose").focus();
});
