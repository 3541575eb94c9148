// Questions about a model's answers, and answers.csv with the labels that follow from them.
//
// A page includes answers.css, answers.html and this script, and calls
//   const ask = collectAnswers({ key, labels, columns, rows, command, noun });
//     key: text that identifies the page; the browser keeps the answers under it.
//     labels: the labels to choose from.
//     columns: names of the columns; the first are filename, label, start and end (s; "" for complete recordings).
//     rows: all rows of the table. An answer changes the label of its row. Rows with the label "" are not saved.
//     command: the command that uses the file; the box shows it after saving.
//     noun: what a row is, "clip" or "event".
//   ask(parent, row, answer): adds the question if `answer` is right to an element; `row` is one of `rows`.
//
// Right: the label becomes the model's answer. Wrong: the row's label stays, unless it equals the answer; then the row
// gets no label. Another label: the label becomes that one. So an event, which has no label, is saved once it is right
// or has another label.

const FORMULA = /^(?![+-](\d+\.?\d*|\.\d+|inf|nan)(e[+-]?\d+)?$)[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]/i; // as csv_cells.py
const OTHER = "\0other"; // no label

function csvCell(text) {
  const safe = FORMULA.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

// "./" leaves a file name the same. It then is no formula and no home folder, and keeps an apostrophe of its own.
function csvLine([filename, ...cells]) {
  const path = FORMULA.test(filename) || /^[~']/.test(filename) ? `./${filename}` : filename;
  return [path, ...cells].map(csvCell).join(",") + "\n";
}

function collectAnswers({ key, labels, columns, rows, command, noun = "clip" }) {
  const box = document.getElementById("answers");
  const [status, save, next] = [".count", "button", ".next"].map((name) => box.querySelector(name));
  const idOf = ([filename, , start, end]) => JSON.stringify([filename, start, end]);
  const labelsNow = [...labels];
  const newLabels = new EventTarget();
  let answers = {}; // id of a row -> {kind: "right", "wrong" or "other", label}
  let saved = "{}"; // the answers in the last file, as JSON
  let isKept = true; // by the browser

  function keep() {
    try {
      localStorage.setItem(key, JSON.stringify({ answers, saved }));
    } catch {
      isKept = false;
    }
  }

  function restore() {
    try {
      ({ answers, saved } = JSON.parse(localStorage.getItem(key)) ?? { answers, saved });
    } catch {
      isKept = false;
    }
    for (const { label } of Object.values(answers)) addLabel(label);
  }

  function addLabel(label) {
    if (!label || labelsNow.includes(label)) return;
    labelsNow.push(label);
    newLabels.dispatchEvent(new CustomEvent("label", { detail: label }));
  }

  function showStatus() {
    const count = Object.keys(answers).length;
    const isSaved = JSON.stringify(answers) === saved;
    const place = isKept ? "Kept in this browser" : "Not kept by this browser";
    const ending = isSaved ? "answers.csv has all of them." : `${place}, not yet in answers.csv.`;
    status.textContent = `${count.toLocaleString("en")} answered. ${ending}`;
    next.hidden = !isSaved;
    box.hidden = !count && isSaved;
  }

  function csv() {
    const lines = rows.map((row) => {
      const [filename, label, ...rest] = row;
      return [filename, (answers[idOf(row)] ?? { label }).label, ...rest];
    });
    return [columns, ...lines.filter(([, label]) => label)].map(csvLine).join("");
  }

  save.addEventListener("click", () => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([csv()], { type: "text/csv" }));
    link.download = "answers.csv";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    saved = JSON.stringify(answers);
    keep();
    showStatus();
  });

  function ask(parent, row, answer) {
    const make = (tag, text = "", properties = {}) =>
      Object.assign(document.createElement(tag), { textContent: text, ...properties });
    const id = idOf(row);
    const question = make("fieldset", "", { className: "question" });
    const line = make("div", "", { className: "row" });
    const right = make("button", "Right", { type: "button" });
    const wrong = make("button", "Wrong", { type: "button" });
    const select = make("select", "", { ariaLabel: "Other label" });
    const input = make("input", "", { type: "text", placeholder: "new label", ariaLabel: "New label", hidden: true });
    const undo = make("button", "Undo", { type: "button" });
    const end = make("div", "", { className: "row end" });
    const outcome = make("p", "", { className: "small soft" });
    outcome.setAttribute("role", "status");
    const last = new Option("new label…", OTHER);
    select.append(new Option("other label…", ""), last);
    const addOption = (label) => {
      if (label !== answer) last.before(new Option(label, label));
    };
    labelsNow.forEach(addOption);
    newLabels.addEventListener("label", ({ detail }) => addOption(detail));

    function outcomeText(given) {
      if (!given) return "";
      if (given.label) return `The label ${given.label === row[1] ? "stays" : "is now"} “${given.label}”.`;
      return `The ${noun} is left out of answers.csv, since its label is not known. Choose another label to keep it.`;
    }

    function show() {
      const given = answers[id];
      for (const [button, kind] of [[right, "right"], [wrong, "wrong"]]) {
        button.setAttribute("aria-pressed", given?.kind === kind);
        button.classList.toggle("chosen", given?.kind === kind);
      }
      select.value = given?.kind === "other" ? given.label : "";
      select.classList.toggle("chosen", given?.kind === "other");
      input.hidden = true;
      undo.hidden = !given;
      outcome.textContent = outcomeText(given);
    }

    function give(kind, label) {
      if (kind) answers[id] = { kind, label };
      else delete answers[id];
      keep();
      show();
      showStatus();
    }

    right.addEventListener("click", () => give("right", answer));
    wrong.addEventListener("click", () => give("wrong", row[1] === answer ? "" : row[1]));
    undo.addEventListener("click", () => {
      give(null);
      right.focus();
    });
    select.addEventListener("change", () => {
      if (select.value !== OTHER) return give(select.value && "other", select.value);
      input.hidden = false;
      input.value = "";
      input.focus();
    });
    input.addEventListener("change", () => {
      const text = input.value.trim().normalize();
      const known = labelsNow.find((label) => label.toLowerCase() === text.toLowerCase());
      if (document.activeElement === input) select.focus(); // Enter
      addLabel(known ?? text);
      if (text) give(known === answer ? "right" : "other", known ?? text);
    });
    input.addEventListener("blur", show);

    line.append(right, wrong, select, input);
    end.append(outcome, undo);
    question.append(make("legend", `Is the answer “${answer}” right?`), line, end);
    parent.append(question);
    show();
  }

  restore();
  next.append("Train with it: ", Object.assign(document.createElement("code"), { textContent: command }));
  showStatus();
  return ask;
}
