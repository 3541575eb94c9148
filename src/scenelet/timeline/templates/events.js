// List of events, the choice of a label, and the choice of an event in the picture or in the list.

const LISTED = 100; // at a time
const listed = document.getElementById("listed");
const list = listed.querySelector("ol");
const more = listed.querySelector(".more");
let chosenLabel = null; // null: all
let count = LISTED;

const visible = () =>
  DATA.events.map((_, number) => number).filter((n) => chosenLabel === null || DATA.events[n].label === chosenLabel);

// The event is shown in its item of the list, or under its row of the picture if it was chosen there.
function choose(number, isInList) {
  if (isInList && !itemOf(number)) {
    count = visible().indexOf(number) + LISTED;
    drawList();
  }
  if (isInList) itemOf(number).append(card);
  else document.querySelector(`.bar[data-event="${number}"]`).closest(".lanes").after(card);
  card.hidden = false;
  mark(number);
  card.focus({ preventScroll: true });
  fillCard(number).then(() => card.scrollIntoView({ block: "nearest" }));
}

function close() {
  const item = card.closest("li");
  card.hidden = true;
  audio.pause();
  mark(null);
  item?.querySelector("button").focus();
}

function mark(number) {
  for (const bar of document.querySelectorAll(".lanes .bar")) bar.classList.toggle("on", Number(bar.dataset.event) === number);
  for (const item of list.children) item.firstChild.setAttribute("aria-expanded", Number(item.dataset.event) === number);
}

function itemOf(number) {
  return list.querySelector(`li[data-event="${number}"]`);
}

function makeItem(number) {
  const { label, probability, when, length, recording } = DATA.events[number];
  const item = make("li", "");
  item.dataset.event = number;
  const button = make("button", "");
  button.type = "button";
  button.setAttribute("aria-expanded", "false");
  button.append(
    makeLetter(label),
    make("span", "", DATA.labels[label].name),
    make("span", "number", percent(probability)),
    make("span", "when", when),
    make("span", "number", length),
    make("span", "file small soft", DATA.recordings[recording].name),
  );
  button.addEventListener("click", () => {
    if (card.parentElement === item && !card.hidden) close();
    else choose(number, true);
  });
  item.append(button);
  return item;
}

function drawList() {
  if (card.closest("li")) listed.before(card); // the list loses its items
  const numbers = visible();
  const events = `${numbers.length.toLocaleString("en")} event${numbers.length === 1 ? "" : "s"}`;
  const label = DATA.labels[chosenLabel];
  listed.querySelector("h2").textContent = label ? `${events} of ${label.name}, ${label.length}` : events;
  list.replaceChildren(...numbers.slice(0, count).map(makeItem));
  more.hidden = numbers.length <= count;
  more.textContent = `Show ${Math.min(LISTED, numbers.length - count)} more`;
}

function chooseLabel(label) {
  chosenLabel = chosenLabel === label ? null : label;
  count = LISTED;
  document.querySelectorAll("#labels button").forEach((button, k) => button.setAttribute("aria-pressed", k === chosenLabel));
  for (const bar of document.querySelectorAll(".lanes .bar")) {
    const isOff = chosenLabel !== null && DATA.events[Number(bar.dataset.event)].label !== chosenLabel;
    bar.classList.toggle("off", isOff);
  }
  if (!card.hidden) close();
  drawList();
}

// Chooses the event before or after that of the card, among those of the chosen label.
function step(direction) {
  const numbers = visible();
  const next = numbers.indexOf(Number(card.dataset.number)) + direction;
  if (next < 0 || next >= numbers.length) return;
  const isDrawn = document.querySelector(`.bar[data-event="${numbers[next]}"]`) !== null;
  choose(numbers[next], card.closest("li") !== null || !isDrawn);
}

DATA.labels.forEach(({ name, events, length }, label) => {
  const button = make("button", "");
  button.type = "button";
  button.setAttribute("aria-pressed", "false");
  button.title = `${events.toLocaleString("en")} event${events === 1 ? "" : "s"}, ${length}`;
  button.append(makeLetter(label), make("span", "", name), make("span", "small soft", events.toLocaleString("en")));
  button.addEventListener("click", () => chooseLabel(label));
  const item = make("li", "");
  item.append(button);
  document.getElementById("labels").append(item);
});
drawCharts(document.getElementById("charts"), (number) => choose(number, false));
drawList();
more.addEventListener("click", () => {
  count += LISTED;
  drawList();
});
card.querySelector(".close").addEventListener("click", close);
card.querySelector(".previous").addEventListener("click", () => step(-1));
card.querySelector(".next").addEventListener("click", () => step(1));
card.addEventListener("keydown", (event) => {
  if (event.key === "Escape") close();
});
