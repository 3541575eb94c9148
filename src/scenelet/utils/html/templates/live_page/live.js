// Live audio: the page classifies the microphone's samples as they come, or records them and classifies a file.

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

function showPrediction({ seconds, smoothed, label, confidence, changed }) {
  const time = `${seconds.toFixed(0)} s`;
  const isSure = label !== null;
  showLiveProbabilities(smoothed);
  byId("now-time").textContent = time;
  showLiveLabel(isSure ? label : "unsure");
  if (changed) {
    const answer = confidence > 0 ? `${label} ${percent(confidence)}` : label; // silence has no probability
    const text = isSure ? answer : "unsure";
    addToHistory(`live, after ${time}`)(text, isSure ? "good" : "unsure");
  }
}

async function listen() {
  let stream = null;
  let end = () => {};
  const stopWith = (message) => {
    end();
    showError(message);
  };
  const microphone = await openMicrophone(CHANNELS, (block) => stream && stream.push(block), () => {
    stopWith("The microphone was disconnected: connect it again.");
  });
  stream = PREDICTOR.openStream(microphone.sampleRate, CHANNELS, showPrediction, stopWith);
  openPanel(`listening: first prediction after ${MODEL.window_seconds} s`);
  const spectrogram = startSpectrogram(byId("now-spectrogram"), microphone, MODEL.fmax_hz);
  end = () => {
    spectrogram.stop();
    microphone.close();
    stream.close();
    setPressed(byId("live"), false, "Listen live");
    byId("now").hidden = true;
    session = null;
  };
  setPressed(byId("live"), true, "Stop listening");
  session = { stop: end };
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
  session = { stop: end };
}

async function toggle(button, start) {
  const isOn = button.classList.contains("on");
  if (session) session.stop();
  if (isOn) return;
  showError("");
  byId("live").disabled = byId("record").disabled = true; // until the microphone is open
  try {
    await start();
  } catch (error) {
    showError(error.message);
  } finally {
    byId("live").disabled = byId("record").disabled = false;
    button.focus();
  }
}

byId("live").addEventListener("click", () => toggle(byId("live"), listen));
byId("record").addEventListener("click", () => toggle(byId("record"), record));
