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
let network = null; // session from log-mel to probabilities, and to the similarity if the model has known sounds
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

// Runs a session on one tensor after all earlier runs, and returns its outputs.
function run(session, input) {
  const result = work.then(async () => {
    const outputs = await session.run({ [session.inputNames[0]]: input });
    return session.outputNames.map((name) => outputs[name]);
  });
  work = result.catch(() => {});
  return result;
}

// Computes log-mel (1, channels, bands, frames) of [Float32Array].
async function logMel(channels) {
  const { data, dims } = stft(channels);
  const [output] = await run(mel, new runtime.Tensor("float32", data, dims));
  return output;
}

// Returns the probabilities of a window, and its similarity or null. The probabilities of a silent one are 0.
async function classify(window) {
  if (isSilent(window, model.sample_rate)) return { probabilities: model.labels.map(() => 0), similarity: null };
  const [probabilities, similarity = null] = (await run(network, await logMel(window))).map(({ data }) => [...data]);
  if (![...probabilities, ...(similarity || [])].every(Number.isFinite)) {
    throw new Error("the model's probabilities are not finite numbers; export another model");
  }
  return { probabilities, similarity: similarity && similarity[0] };
}

// Whether the mean of similarities is below the model's minimum. Windows without one do not count.
function isUnknown(similarities) {
  const values = similarities.filter((value) => value !== null);
  return values.length > 0 && values.reduce((sum, value) => sum + value, 0) / values.length < model.min_similarity;
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
  const [rows, similarities] = [[], []];
  for (const window of cutAll(samples, model.window, Math.ceil(seconds * model.sample_rate))) {
    const { probabilities, similarity } = await classify(window);
    rows.push(probabilities);
    similarities.push(similarity);
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
    unsure: noSound !== null || isUnknown(similarities) || means[top] < (model.thresholds[top] ?? Infinity),
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
    this.smoother = new PredictionSmoother(model.labels, model.thresholds, model.min_similarity);
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
        const { probabilities, similarity } = await classify(window);
        const prediction = this.smoother.update(seconds, probabilities, similarity);
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
