// Live audio: the page sends the microphone's samples through the WebSocket, or records them and uploads a file.

let session = null; // {stop}: the current use of the microphone
const showLiveProbabilities = makeBars(byId("now-bars"));

function setPressed(button, on, text) {
  button.classList.toggle("on", on);
  button.textContent = text;
}

// Opens the panel for live audio with a message.
function openPanel(text) {
  byId("now").hidden = false;
  byId("now-time").textContent = "";
  showLiveLabel(text);
  showLiveProbabilities(MODEL.labels.map(() => 0));
}

// Changes the text only if it is new, since a screen reader reads every change aloud.
function showLiveLabel(text) {
  if (byId("now-label").textContent !== text) byId("now-label").textContent = text;
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
    showError("The microphone was disconnected: connect it again.");
  });
  address.search = new URLSearchParams({ sample_rate: microphone.sampleRate, channels: CHANNELS, format: "f32" });
  socket = new WebSocket(address);
  openPanel(`listening: first prediction after ${MODEL.window_seconds} s`);
  const spectrogram = startSpectrogram(byId("now-spectrogram"), microphone, MODEL.fmax_hz);
  end = () => {
    spectrogram.stop();
    microphone.close();
    socket.onclose = null;
    socket.close();
    setPressed(byId("live"), false, "Listen live");
    byId("now").hidden = true;
    session = null;
  };
  socket.onmessage = (event) => {
    const message = JSON.parse(event.data);
    if (message.type === "error") {
      end();
      showError(message.message);
    }
    if (message.type !== "prediction") return;
    const time = `${message.seconds.toFixed(0)} s`;
    const isSure = message.label !== null;
    showLiveProbabilities(message.smoothed);
    byId("now-time").textContent = time;
    showLiveLabel(isSure ? message.label : "unsure");
    if (message.changed) {
      const text = isSure ? `${message.label} ${percent(message.confidence)}` : "unsure";
      addToHistory(`live, after ${time}`)(text, isSure ? "good" : "unsure");
    }
  };
  socket.onclose = () => {
    end();
    showError("The service closed the live connection; it may be busy. Try again.");
  };
  setPressed(byId("live"), true, "Stop listening");
  return { stop: end };
}

async function record() {
  const blocks = [];
  let frames = 0;
  let end = () => {};
  const microphone = await openMicrophone(CHANNELS, (block, sampleRate) => {
    const { max_seconds, max_body_bytes } = MODEL.limits;
    // 2 bytes per sample; 10,000 bytes are left for the rest of the request
    const maxFrames = Math.min(max_seconds * sampleRate, (max_body_bytes - 10_000) / (2 * CHANNELS));
    if (frames + block.length / CHANNELS > maxFrames) {
      end();
      return;
    }
    blocks.push(block);
    frames += block.length / CHANNELS;
    byId("now-time").textContent = `${(frames / sampleRate).toFixed(1)} s`;
  }, () => end());
  openPanel("recording");
  const spectrogram = startSpectrogram(byId("now-spectrogram"), microphone, MODEL.fmax_hz);
  end = () => {
    spectrogram.stop();
    microphone.close();
    setPressed(byId("record"), false, "Record");
    byId("now").hidden = true;
    session = null;
    if (blocks.length) {
      classify(makeWav(blocks, microphone.sampleRate, CHANNELS), `recording ${new Date().toLocaleTimeString()}.wav`);
    }
  };
  setPressed(byId("record"), true, "Stop and classify");
  return { stop: end };
}

async function toggle(button, start) {
  const isOn = button.classList.contains("on");
  if (session) session.stop();
  if (isOn) return;
  showError("");
  byId("live").disabled = byId("record").disabled = true; // until the microphone is open
  try {
    session = await start();
  } catch (error) {
    showError(error.message);
  } finally {
    byId("live").disabled = byId("record").disabled = false;
    button.focus();
  }
}

byId("live").addEventListener("click", () => toggle(byId("live"), listen));
byId("record").addEventListener("click", () => toggle(byId("record"), record));
