// Live: the microphone goes through the WebSocket hop by hop, or is recorded and then classified as a file.

let session = null; // {stop}: what uses the microphone now
const showNow = bars(at("now-bars"));

function pressed(button, on, text) {
  button.classList.toggle("on", on);
  button.textContent = text;
}

// Shows the panel, with what is going on.
function openPanel(text) {
  at("now").hidden = false;
  at("now-time").textContent = "";
  tell(text);
  showNow(MODEL.labels.map(() => 0));
}

// Only what is new: a screen reader says it.
function tell(text) {
  if (at("now-label").textContent !== text) at("now-label").textContent = text;
}

async function listen() {
  const address = new URL("stream", location.href);
  address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
  let socket = null;
  let end = () => {};
  const microphone = await openMicrophone(CHANNELS, (block) => {
    if (socket && socket.readyState === WebSocket.OPEN) socket.send(block);
  }, () => {
    end();
    complain("The microphone gives no more sound: connect it again.");
  });
  address.search = new URLSearchParams({ sample_rate: microphone.sampleRate, channels: CHANNELS, format: "f32" });
  socket = new WebSocket(address);
  openPanel(`listening: the first answer after ${MODEL.seconds} s`);
  const picture = moveSpectrogram(at("now-spectrogram"), microphone, MODEL.fmax_hz);
  end = () => {
    picture.stop();
    microphone.close();
    socket.onclose = null;
    socket.close();
    pressed(at("live"), false, "Listen live");
    at("now").hidden = true;
    session = null;
  };
  socket.onmessage = (message) => {
    const heard = JSON.parse(message.data);
    if (heard.type === "error") {
      end();
      complain(heard.message);
    }
    if (heard.type !== "moment") return;
    showNow(heard.smoothed);
    at("now-time").textContent = `${heard.seconds.toFixed(0)} s`;
    tell(heard.label === null ? "unsure" : heard.label);
    if (heard.changed) {
      const sure = heard.label !== null;
      const text = sure ? `${heard.label} ${percent(heard.confidence)}` : "unsure";
      remember(`live, after ${heard.seconds.toFixed(0)} s`)(text, sure ? "good" : "unsure");
    }
  };
  socket.onclose = () => {
    end();
    complain("The live connection was closed by the service; it may be busy. Try again.");
  };
  pressed(at("live"), true, "Stop listening");
  return { stop: end };
}

async function record() {
  const blocks = [];
  let samples = 0;
  let end = () => {};
  const microphone = await openMicrophone(CHANNELS, (block, sampleRate) => {
    const { max_seconds, max_body } = MODEL.limits; // of a request, with a little beside the samples, which take 2 bytes
    const most = Math.min(max_seconds * sampleRate, (max_body - 10_000) / (2 * CHANNELS));
    if (samples + block.length / CHANNELS > most) {
      end();
      return;
    }
    blocks.push(block);
    samples += block.length / CHANNELS;
    at("now-time").textContent = `${(samples / sampleRate).toFixed(1)} s`;
  }, () => end());
  openPanel("recording");
  const picture = moveSpectrogram(at("now-spectrogram"), microphone, MODEL.fmax_hz);
  end = () => {
    picture.stop();
    microphone.close();
    pressed(at("record"), false, "Record");
    at("now").hidden = true;
    session = null;
    if (blocks.length) {
      classify(wavOf(blocks, microphone.sampleRate, CHANNELS), `recording ${new Date().toLocaleTimeString()}.wav`);
    }
  };
  pressed(at("record"), true, "Stop and classify");
  return { stop: end };
}

async function toggle(button, start) {
  const mine = button.classList.contains("on");
  if (session) session.stop();
  if (mine) return;
  complain("");
  at("live").disabled = at("record").disabled = true; // until the microphone is there
  try {
    session = await start();
  } catch (error) {
    complain(error.message);
  } finally {
    at("live").disabled = at("record").disabled = false;
    button.focus();
  }
}

at("live").addEventListener("click", () => toggle(at("live"), listen));
at("record").addEventListener("click", () => toggle(at("record"), record));
