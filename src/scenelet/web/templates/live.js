// Live: the microphone goes through the WebSocket hop by hop, or is recorded and then classified as a file.

let session = null; // {stop}: what uses the microphone now
const showNow = bars(at("now-bars"));

function pressed(button, on, text) {
  button.setAttribute("aria-pressed", String(on));
  button.textContent = text;
}

async function listen() {
  const address = new URL("stream", location.href);
  address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
  let socket = null;
  const microphone = await openMicrophone(CHANNELS, (block) => {
    if (socket && socket.readyState === WebSocket.OPEN) socket.send(block);
  });
  address.search = new URLSearchParams({ sample_rate: microphone.sampleRate, channels: CHANNELS, format: "f32" });
  socket = new WebSocket(address);
  at("now").hidden = false;
  at("now-label").textContent = `listening: the first answer after ${MODEL.seconds} s`;
  showNow(MODEL.labels.map(() => 0));
  const picture = moveSpectrogram(at("now-spectrogram"), microphone, MODEL.fmax_hz);
  let told = null; // the answer that the history has
  const end = () => {
    picture.stop();
    microphone.close();
    socket.close();
    pressed(at("live"), false, "Listen live");
    session = null;
  };
  socket.onmessage = (message) => {
    const heard = JSON.parse(message.data);
    if (heard.type === "error") complain(heard.message);
    if (heard.type !== "moment") return;
    showNow(heard.smoothed);
    at("now-time").textContent = `${heard.seconds.toFixed(0)} s`;
    const text = heard.label === null ? "unsure" : `${heard.label} ${percent(heard.confidence)}`;
    at("now-label").textContent = heard.label === null ? "unsure" : heard.label;
    if (heard.label !== told) {
      told = heard.label;
      remember(`live, after ${heard.seconds.toFixed(0)} s`)(text, told === null ? "unsure" : "good");
    }
  };
  socket.onclose = () => {
    if (session && session.stop === end) {
      complain("The live connection was closed by the service; it may be busy. Try again.");
      end();
    }
  };
  pressed(at("live"), true, "Stop listening");
  return { stop: end };
}

async function record() {
  const blocks = [];
  let samples = 0;
  let end = null;
  const microphone = await openMicrophone(CHANNELS, (block) => {
    blocks.push(block);
    samples += block.length / CHANNELS;
    const seconds = samples / microphone.sampleRate;
    at("now-time").textContent = `${seconds.toFixed(1)} s`;
    if (seconds >= MODEL.limits.max_seconds) end();
  });
  at("now").hidden = false;
  at("now-label").textContent = "recording";
  showNow(MODEL.labels.map(() => 0));
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
  const mine = button.getAttribute("aria-pressed") === "true";
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
