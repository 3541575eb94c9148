// Draw the spectrograms and connect each with its player: a click moves the player, and the player moves the cursor.
for (const canvas of document.querySelectorAll("canvas[data-levels]")) {
  const { levels, bands, frames } = canvas.dataset;
  drawSpectrogram(canvas, bytesOf(levels), Number(bands), Number(frames));
}

// Read a plot's numbers. Its window begins at `start` s of the recording. The sound in it begins `first` s later and
// lasts `sound` s. If that is shorter than the window, the sound is repeated to the window's end.
function numbersOf(plot) {
  return Object.fromEntries(Object.entries(plot.dataset).map(([name, text]) => [name, Number(text)]));
}

// Position on the plot, from 0 to 1, of a time in the window; frame k is centered at k * frame.
function positionOf(numbers, time) {
  return (time / numbers.frame + 0.5) / numbers.frames;
}

function connect(plot, audio) {
  const numbers = numbersOf(plot);
  const offset = Number(audio.dataset.start);
  const repeats = Math.ceil(numbers.seconds / numbers.sound - 1e-6);
  const cursors = Array.from({ length: repeats }, () => {
    const cursor = document.createElement("div");
    cursor.className = "cursor";
    cursor.hidden = true;
    plot.append(cursor);
    return cursor;
  });

  function show() {
    const time = audio.currentTime + offset - numbers.start - numbers.first;
    const begun = audio.currentTime > 0 || !audio.paused;
    const audible = begun && time >= 0 && time <= numbers.sound;
    cursors.forEach((cursor, k) => {
      const inWindow = time + k * numbers.sound;
      cursor.hidden = !audible || inWindow > numbers.seconds;
      cursor.style.left = `${100 * positionOf(numbers, inWindow)}%`;
    });
    plot.setAttribute("aria-valuenow", Math.min(Math.max(time, 0), numbers.seconds).toFixed(2));
    plot.setAttribute("aria-valuetext", `${(audio.currentTime + offset).toFixed(2)} seconds of the recording`);
  }

  function moveTo(inWindow) {
    const time = Math.min(Math.max(inWindow, 0), numbers.seconds - 0.001) % numbers.sound;
    audio.currentTime = Math.max(0, numbers.start + numbers.first + time - offset);
    show();
  }

  function follow() {
    show();
    if (!audio.paused) requestAnimationFrame(follow);
  }

  plot.addEventListener("click", (event) => {
    const box = plot.getBoundingClientRect();
    moveTo((((event.clientX - box.left) / box.width) * numbers.frames - 0.5) * numbers.frame);
  });
  plot.addEventListener("keydown", (event) => {
    const step = numbers.seconds / 50;
    const now = audio.currentTime + offset - numbers.start - numbers.first;
    const actions = {
      ArrowLeft: () => moveTo(now - step),
      ArrowDown: () => moveTo(now - step),
      ArrowRight: () => moveTo(now + step),
      ArrowUp: () => moveTo(now + step),
      Home: () => moveTo(0),
      End: () => moveTo(numbers.seconds),
      " ": () => (audio.paused ? audio.play() : audio.pause()),
    };
    if (actions[event.key]) {
      event.preventDefault();
      actions[event.key]();
    }
  });
  audio.addEventListener("play", follow);
  for (const name of ["timeupdate", "seeked", "loadedmetadata"]) audio.addEventListener(name, show);
}

for (const clip of document.querySelectorAll(".clip")) {
  const audio = clip.querySelector("audio");
  if (!audio) continue;
  for (const plot of clip.querySelectorAll(".plot[tabindex]")) connect(plot, audio);
  const showError = () => { clip.querySelector(".silent").hidden = false; };
  audio.addEventListener("error", showError);
  if (audio.error) showError(); // the error came before this script ran
  audio.addEventListener("play", () => {
    for (const other of document.querySelectorAll("audio")) if (other !== audio) other.pause();
  });
}

const table = JSON.parse(document.getElementById("table").textContent);
const ask = collectAnswers(table);
for (const place of document.querySelectorAll("[data-row]")) {
  ask(place, table.rows[Number(place.dataset.row)], place.dataset.answer);
}
