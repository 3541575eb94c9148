// Microphone: blocks of samples, a moving spectrogram, and a WAV file of a recording.

// Opens the microphone and returns {sampleRate, channels, analyser, close}.
// `onBlock` is called with each Float32Array of interleaved samples and the sample rate; `onEnd` is called when the
// microphone is unplugged. Throws an Error whose message the page shows to the user.
async function openMicrophone(channels, onBlock, onEnd) {
  if (!navigator.mediaDevices || !window.AudioWorkletNode) {
    throw new Error("This browser allows no microphone on this page: open it on localhost or over https.");
  }
  let media;
  try {
    const constraints = { echoCancellation: false, noiseSuppression: false, autoGainControl: false, channelCount: channels };
    media = await navigator.mediaDevices.getUserMedia({ audio: constraints });
  } catch (error) {
    const isDenied = error.name === "NotAllowedError";
    throw new Error(isDenied ? "Access to the microphone was denied: allow it in the address bar and try again."
      : `Cannot open a microphone (${error.message || error.name}): connect one and try again.`);
  }
  const context = new AudioContext();
  const close = () => {
    for (const track of media.getTracks()) track.stop();
    return context.close();
  };
  try {
    await context.audioWorklet.addModule(PREDICTOR.captureUrl);
    await context.resume();
  } catch (error) {
    close();
    throw new Error(`Cannot read from the microphone (${error.message}): reload this page.`);
  }
  const source = context.createMediaStreamSource(media);
  const options = { channelCount: channels, channelCountMode: "explicit", numberOfOutputs: 1 };
  const capture = new AudioWorkletNode(context, "capture", options);
  capture.port.onmessage = (message) => onBlock(message.data, context.sampleRate);
  for (const track of media.getTracks()) track.onended = onEnd;
  const analyser = new AnalyserNode(context, { fftSize: 2048, smoothingTimeConstant: 0, minDecibels: -110, maxDecibels: -20 });
  source.connect(analyser);
  // browsers only run nodes that are connected to the output; this node outputs silence
  source.connect(capture).connect(context.destination);
  const stop = () => {
    capture.port.onmessage = null;
    return close();
  };
  return { sampleRate: context.sampleRate, channels, analyser, close: stop };
}

// Draws a spectrogram that moves from right to left, and returns {stop}.
function startSpectrogram(canvas, microphone, topHz) {
  const context = canvas.getContext("2d");
  const { analyser, sampleRate } = microphone;
  const bins = new Uint8Array(analyser.frequencyBinCount);
  const column = context.createImageData(1, canvas.height);
  const mel = (hz) => 2595 * Math.log10(1 + hz / 700);
  const hz = (mels) => 700 * (10 ** (mels / 2595) - 1);
  const top = mel(Math.min(topHz, sampleRate / 2));
  // first and last bin of each row; at least one bin
  const rows = Array.from({ length: canvas.height }, (_, row) => {
    const binOf = (fraction) => Math.floor((hz(fraction * top) / (sampleRate / 2)) * (bins.length - 1));
    const first = binOf(row / canvas.height);
    return [first, Math.max(first, binOf((row + 1) / canvas.height) - 1)];
  });
  context.fillStyle = "#000004";
  context.fillRect(0, 0, canvas.width, canvas.height);
  let frame = 0;
  const draw = () => {
    analyser.getByteFrequencyData(bins);
    context.drawImage(canvas, -1, 0);
    rows.forEach(([first, last], row) => {
      let level = 0;
      for (let bin = first; bin <= last; bin++) level = Math.max(level, bins[bin]);
      column.data.set([...PALETTE[level], 255], 4 * (canvas.height - 1 - row));
    });
    context.putImageData(column, canvas.width - 1, 0);
    frame = requestAnimationFrame(draw);
  };
  frame = requestAnimationFrame(draw);
  return { stop: () => cancelAnimationFrame(frame) };
}

// Returns a 16-bit WAV file of blocks of interleaved samples.
function makeWav(blocks, sampleRate, channels) {
  const count = blocks.reduce((sum, block) => sum + block.length, 0);
  const view = new DataView(new ArrayBuffer(44 + 2 * count));
  const write = (offset, text) => [...text].forEach((letter, i) => view.setUint8(offset + i, letter.charCodeAt(0)));
  write(0, "RIFF");
  view.setUint32(4, 36 + 2 * count, true);
  write(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true);
  view.setUint16(22, channels, true);
  view.setUint32(24, sampleRate, true);
  view.setUint32(28, 2 * channels * sampleRate, true);
  view.setUint16(32, 2 * channels, true);
  view.setUint16(34, 16, true);
  write(36, "data");
  view.setUint32(40, 2 * count, true);
  let offset = 44;
  for (const block of blocks) {
    for (const sample of block) {
      view.setInt16(offset, Math.max(-1, Math.min(1, sample)) * 32767, true);
      offset += 2;
    }
  }
  return new Blob([view.buffer], { type: "audio/wav" });
}
