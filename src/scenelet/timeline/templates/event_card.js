// Card of the chosen event: its spectrogram, which is loaded when it is needed, and a player at its time.

const card = document.getElementById("event");
const audio = card.querySelector("audio");
const ask = collectAnswers(DATA.answers);
let shownPicture = null; // of the event in the card

let pictures = null; // promise of all spectrograms, by the number of the event
function loadPictures() {
  pictures ??= new Promise((resolve) => {
    const script = document.createElement("script");
    script.src = DATA.pictures;
    script.onload = () => resolve(PICTURES);
    script.onerror = () => resolve({}); // the file was moved
    document.body.append(script);
  });
  return pictures;
}

function clock(seconds) {
  const whole = Math.floor(seconds);
  const two = (value) => String(value).padStart(2, "0");
  const minutes = Math.floor(whole / 60);
  return minutes < 60 ? `${minutes}:${two(whole % 60)}` : `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(whole % 60)}`;
}

async function fillCard(number) {
  const event = DATA.events[number];
  const recording = DATA.recordings[event.recording];
  card.querySelector(".letter").replaceWith(makeLetter(event.label));
  card.querySelector(".name").textContent = DATA.labels[event.label].name;
  card.querySelector("h3 .number").textContent = percent(event.probability);
  card.querySelector(".when").textContent =
    `${event.when}, ${event.length}, from ${clock(event.start)} to ${clock(event.end)} of ${recording.name}`;
  card.dataset.number = number;
  card.querySelector(".silent").hidden = true;
  card.querySelector(".answer").replaceChildren();
  if (event.row !== null) ask(card.querySelector(".answer"), DATA.answers.rows[event.row], DATA.labels[event.label].name);
  audio.src = `${recording.url}#t=${event.start.toFixed(2)},${event.end.toFixed(2)}`;
  shownPicture = null;
  card.querySelector(".no-picture").hidden = event.picture;
  if (!event.picture) card.querySelector(".seen").hidden = true;
  const picture = event.picture ? (await loadPictures())[number] : undefined;
  if (card.dataset.number !== String(number)) return; // another event was chosen meanwhile
  card.querySelector(".no-picture").hidden = Boolean(picture);
  card.querySelector(".seen").hidden = !picture;
  if (picture) drawPicture(picture, event);
}

function drawPicture(picture, event) {
  shownPicture = picture;
  drawSpectrogram(card.querySelector("canvas"), bytesOf(picture.levels), picture.bands, picture.frames);
  const [from, to] = card.querySelectorAll(".seconds span");
  from.textContent = clock(picture.start);
  to.textContent = clock(picture.start + picture.seconds);
  const share = (time) => Math.min(Math.max((time - picture.start) / picture.seconds, 0), 1);
  const span = card.querySelector(".span");
  span.style.left = `${100 * share(event.start)}%`;
  span.style.width = `${100 * (share(event.end) - share(event.start))}%`;
  showCursor();
}

function showCursor() {
  const cursor = card.querySelector(".cursor");
  const share = shownPicture ? (audio.currentTime - shownPicture.start) / shownPicture.seconds : -1;
  cursor.hidden = !(share >= 0 && share <= 1);
  cursor.style.left = `${100 * share}%`;
}

function followPlayer() {
  showCursor();
  if (!audio.paused) requestAnimationFrame(followPlayer);
}

for (const { position, text } of DATA.hertz) {
  const tick = make("span", "", text);
  tick.style.bottom = `${100 * position}%`;
  card.querySelector(".hertz").append(tick);
}
card.querySelector(".plot").addEventListener("click", (event) => {
  const box = event.currentTarget.getBoundingClientRect();
  audio.currentTime = shownPicture.start + ((event.clientX - box.left) / box.width) * shownPicture.seconds;
});
audio.addEventListener("play", followPlayer);
for (const name of ["timeupdate", "seeked", "loadedmetadata"]) audio.addEventListener(name, showCursor);
audio.addEventListener("error", () => { card.querySelector(".silent").hidden = false; });
