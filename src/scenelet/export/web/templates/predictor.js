// Predictions of the model in this folder, which a worker runs.

const SITE_FILES = {}; // model.js and onnxruntime-web.js add gzip data as Base64
const MIN_DECODED_RATE = 88200;
const RELOAD = "; reload this page";

// Writes the message of an Error as a sentence.
function sentence(message) {
  return `${message[0].toUpperCase()}${message.slice(1).replace(/\.$/, "")}.`;
}

// Returns a Blob URL of the script in a data block of this page, since browsers load no worker from a disk.
function blobUrl(id) {
  return URL.createObjectURL(new Blob([byId(id).textContent], { type: "text/javascript" }));
}

function checkBrowser() {
  const needed = { WebAssembly: "WebAssembly", Worker: "web workers", DecompressionStream: "DecompressionStream",
    OfflineAudioContext: "Web Audio" };
  for (const [name, what] of Object.entries(needed)) {
    if (typeof window[name] === "undefined") {
      throw new Error(`this browser cannot run the model, because it lacks ${what}; update it, or use another one`);
    }
  }
}

// Loads a script by its address in `MODEL.scripts`.
function loadFile(address) {
  const [name] = address.split("?");
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = address;
    const fail = (what) => reject(new Error(`the file ${name} is ${what} copy the complete folder of this page`));
    script.onload = () => (SITE_FILES[address] ? resolve(SITE_FILES[address]) : fail("damaged or of another export; reload this page, or"));
    script.onerror = () => fail("missing;");
    document.head.append(script);
  });
}

// The worker, once it has loaded the model. It rejects with a sentence if it cannot.
async function openWorker() {
  checkBrowser();
  const [graphs, runtime] = await Promise.all(MODEL.scripts.map(loadFile));
  const worker = new Worker(blobUrl("worker"));
  await new Promise((resolve, reject) => {
    const fail = (fault) => reject(new Error(`the model cannot be loaded (${fault}); copy the complete folder of this page`
      + " again, or use another browser"));
    worker.onerror = (event) => fail(event.message || "the worker failed");
    worker.onmessage = ({ data }) => (data.fault ? fail(data.fault) : resolve());
    worker.postMessage({ type: "open", model: MODEL, graphs, runtime });
    for (const name of Object.keys(SITE_FILES)) delete SITE_FILES[name]; // 5 MB of text
  });
  worker.onmessage = ({ data }) => receivers.get(data.id)?.(data);
  worker.onerror = (event) => {
    const fault = `the worker failed (${event.message})${RELOAD}`;
    for (const receive of [...receivers.values()]) receive({ type: "fault", fault });
  };
  return worker;
}

const receivers = new Map(); // functions that take the worker's messages, by the id of a request
let lastId = 0;
const opening = openWorker();
opening.catch((error) => showError(sentence(error.message)));

// Refuses a long recording before all of its samples are in memory.
function checkSeconds(seconds) {
  const { max_seconds } = MODEL.limits;
  if (seconds > max_seconds) {
    throw new Error(`is longer than ${max_seconds} s, the limit of this page; cut it into shorter recordings`);
  }
}

// Reads a file's length, or NaN if only the decoder can tell.
async function readSeconds(file) {
  const player = new Audio();
  player.preload = "metadata";
  player.src = URL.createObjectURL(file);
  await new Promise((resolve) => {
    player.onloadedmetadata = player.onerror = resolve;
  });
  URL.revokeObjectURL(player.src);
  return Number.isFinite(player.duration) ? player.duration : NaN;
}

// A context for sound at the file's rate, or at a multiple of the model's for a file whose rate is unknown. Then the
// browser's filter acts above the frequencies that the model uses.
function openContext(bytes) {
  const rate = readSampleRate(bytes);
  try {
    return new OfflineAudioContext(1, 1, rate || NaN);
  } catch {
    return new OfflineAudioContext(1, 1, MODEL.sample_rate * Math.ceil(MIN_DECODED_RATE / MODEL.sample_rate));
  }
}

async function decode(file) {
  if (file.size === 0) throw new Error("the file is empty; copy or record it again");
  checkSeconds(await readSeconds(file));
  const data = await file.arrayBuffer();
  const bytes = new Uint8Array(data);
  if (isTruncatedWav(bytes)) throw new Error("the file is truncated, copy it again");
  const sound = await openContext(bytes).decodeAudioData(data).catch(() => {
    throw new Error("not a recording that this browser can read; convert it to WAV or MP3");
  });
  checkSeconds(sound.duration);
  return sound;
}

const PREDICTOR = {
  captureUrl: location.protocol === "file:" // Chromium loads no worklet from a Blob there
    ? `data:text/javascript,${encodeURIComponent(byId("capture").textContent)}` : blobUrl("capture"),

  async predict(file) {
    const worker = await opening;
    const sound = await decode(file);
    const channels = Array.from({ length: sound.numberOfChannels }, (_, channel) => sound.getChannelData(channel));
    const id = ++lastId;
    const answer = new Promise((resolve) => receivers.set(id, resolve));
    const buffers = channels.map(({ buffer }) => buffer);
    worker.postMessage({ type: "predict", id, channels, sampleRate: sound.sampleRate }, buffers);
    const { result, fault } = await answer;
    receivers.delete(id);
    if (fault) throw new Error(fault);
    return result;
  },

  openStream(sampleRate, channels, onPrediction, onError) {
    const id = ++lastId;
    let worker = null;
    receivers.set(id, ({ prediction, fault }) => (fault ? onError(sentence(`live sound stopped: ${fault}`)) : onPrediction(prediction)));
    opening.then((opened) => {
      worker = opened;
      worker.postMessage({ type: "listen", id, sampleRate, channels });
    }, (error) => onError(sentence(error.message)));
    return {
      push: (samples) => worker?.postMessage({ type: "block", id, samples }, [samples.buffer]),
      close: () => {
        receivers.delete(id);
        worker?.postMessage({ type: "stop", id });
      },
    };
  },
};
