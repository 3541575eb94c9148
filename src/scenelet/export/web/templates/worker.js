// Runs the model in a thread of its own, so that the page stays responsive.
//
// Messages in: {type: "open", model, runtime, graphs}; {type: "predict", id, channels, sampleRate};
//   {type: "listen", id, sampleRate, channels}; {type: "block", id, samples}; {type: "stop", id}.
// Messages out: {type: "opened", fault}; {type: "result", id, result}; {type: "prediction", id, prediction};
//   {type: "fault", id, fault}.

let model = null; // settings, see `scenelet.export.web.site`
let runtime = null;
let stft = null; // function from samples to power spectra
let mel = null; // session from power spectra to log-mel
let network = null; // session from log-mel to probabilities
let work = Promise.resolve(); // the runtime runs one session at a time
const streams = new Map();

async function unpack(base64) {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

async function open({ runtime: files, graphs }) {
  const script = new Blob([await unpack(files.script)], { type: "text/javascript" });
  runtime = await import(URL.createObjectURL(script));
  runtime.env.logLevel = "error";
  runtime.env.wasm.numThreads = 1; // threads need HTTP headers that most static hosts do not send
  runtime.env.wasm.wasmBinary = (await unpack(files.wasm)).buffer;
  const options = { executionProviders: ["wasm"] };
  stft = makeStft(model.stft);
  mel = await runtime.InferenceSession.create(await unpack(graphs.mel), options);
  network = await runtime.InferenceSession.create(await unpack(graphs.network), options);
}

// Runs a session on one tensor after all earlier runs, and returns its only output.
function run(session, input) {
  const result = work.then(async () => {
    const outputs = await session.run({ [session.inputNames[0]]: input });
    return outputs[session.outputNames[0]];
  });
  work = result.catch(() => {});
  return result;
}

// Computes log-mel (1, channels, bands, frames) of [Float32Array].
function logMel(channels) {
  const { data, dims } = stft(channels);
  return run(mel, new runtime.Tensor("float32", data, dims));
}

// Returns the probabilities of a window; those of a silent one are 0.
async function classify(window) {
  if (isSilent(window, model.sample_rate)) return model.labels.map(() => 0);
  const { data } = await run(network, await logMel(window));
  if (!data.every(Number.isFinite)) throw new Error("the model's probabilities are not finite numbers; export another model");
  return [...data];
}

function resampleAll(channels, sourceRate) {
  return channels.map((samples) => {
    const resampler = new Resampler(sourceRate, model.sample_rate);
    const [start, end] = [resampler.push(samples), resampler.finish()];
    const joined = new Float32Array(start.length + end.length);
    joined.set(start);
    joined.set(end, start.length);
    return joined;
  });
}

// Windows of all samples. With `rest`, zeros round the length up, as librosa does.
function* cutAll(channels, rule, length = channels[0].length) {
  const splitter = new WindowSplitter(channels.length, rule);
  yield* splitter.push(channels);
  const missing = rule.rest === null ? 0 : Math.max(0, length - channels[0].length);
  if (missing) yield* splitter.push(channels.map(() => new Float32Array(missing)));
  yield* splitter.finish();
}

// Classifies a recording, as `scenelet.inference.classifier.Classifier.predict`.
async function predict(decoded, sourceRate) {
  checkSamples(decoded);
  const seconds = decoded[0].length / sourceRate;
  const arranged = arrangeChannels(decoded, model.channels);
  const detector = new SoundDetector(sourceRate);
  detector.push(arranged);
  const samples = resampleAll(arranged, sourceRate);
  const rows = [];
  for (const window of cutAll(samples, model.window, Math.ceil(seconds * model.sample_rate))) {
    rows.push(await classify(window));
  }
  const sounding = rows.filter((row) => row.some((value) => value > 0));
  const noSound = seconds < model.min_seconds ? "too short" : detector.hasSound && sounding.length ? null : "silence";
  let means = model.labels.map((_, i) => (noSound ? 1 : sounding.reduce((sum, row) => sum + row[i], 0)));
  const total = means.reduce((sum, value) => sum + value, 0);
  means = means.map((value) => value / total);
  const top = means.indexOf(Math.max(...means));
  const reader = new SpectrogramReader(seconds, model.piece, model.top_db);
  const rule = { length: model.piece.length, hop: model.piece.length, rest: null, minLast: 0, repeat: null };
  for (const piece of cutAll(samples, rule)) reader.add(await logMel(piece));
  return {
    label: noSound || model.labels[top],
    unsure: noSound !== null || means[top] < (model.thresholds[top] ?? Infinity),
    probabilities: Object.fromEntries(model.labels.map((label, i) => [label, means[i]])),
    windows: rows.length,
    window_probabilities: rows,
    spectrogram: reader.image(),
  };
}

// Live sound: blocks of interleaved samples go in. If the device is slow, windows between two predictions are skipped.
class Stream {
  constructor(id, sampleRate, channels) {
    [this.id, this.channels] = [id, channels];
    const count = arrangeChannels(Array(channels).fill(new Float32Array(0)), model.channels).length;
    this.resamplers = Array.from({ length: count }, () => new Resampler(sampleRate, model.sample_rate));
    this.splitter = new WindowSplitter(count, { ...model.window, hop: model.live_hop, rest: null });
    this.smoother = new PredictionSmoother(model.labels, model.thresholds);
    [this.next, this.emitted, this.isBusy] = [null, 0, false];
  }

  push(samples) {
    const frames = samples.length / this.channels;
    const channels = Array.from({ length: this.channels }, (_, channel) => (
      Float32Array.from({ length: frames }, (__, frame) => samples[frame * this.channels + channel])
    ));
    const arranged = arrangeChannels(channels, model.channels);
    for (const window of this.splitter.push(this.resamplers.map((one, channel) => one.push(arranged[channel])))) {
      const seconds = (model.window.length + this.emitted * model.live_hop) / model.sample_rate;
      this.emitted += 1;
      this.next = { window, seconds };
    }
    if (!this.isBusy) this.work();
  }

  async work() {
    this.isBusy = true;
    try {
      while (this.next) {
        const { window, seconds } = this.next;
        this.next = null;
        const prediction = this.smoother.update(seconds, await classify(window));
        if (streams.has(this.id)) postMessage({ type: "prediction", id: this.id, prediction });
      }
    } catch (error) {
      postMessage({ type: "fault", id: this.id, fault: error.message });
    }
    this.isBusy = false;
  }
}

onmessage = async ({ data: message }) => {
  const { type, id } = message;
  if (type === "open") {
    model = message.model;
    const fault = await open(message).then(() => null, (error) => error.message || String(error));
    postMessage({ type: "opened", fault });
  } else if (type === "predict") {
    try {
      postMessage({ type: "result", id, result: await predict(message.channels, message.sampleRate) });
    } catch (error) {
      postMessage({ type: "fault", id, fault: error.message || String(error) });
    }
  } else if (type === "listen") {
    streams.set(id, new Stream(id, message.sampleRate, message.channels));
  } else if (type === "block") {
    if (streams.has(id)) streams.get(id).push(message.samples);
  } else {
    streams.delete(id);
  }
};
