// Sound before the windows: the model's channels, resampling, and the search for sound. As `scenelet.audio`.

const MAX_LEVEL = 1e6; // times full scale, as `scenelet.audio.pcm`

// Throws an Error if samples cannot be used, as `scenelet.audio.pcm.find_invalid_samples`.
function checkSamples(channels) {
  let peak = 0;
  for (const samples of channels) {
    for (const value of samples) {
      if (!Number.isFinite(value)) throw new Error("holds samples that are not finite numbers; export it again");
      peak = Math.max(peak, Math.abs(value));
    }
  }
  if (peak > MAX_LEVEL) throw new Error(`holds samples up to ${peak.toExponential(1)} times full scale; export it again`);
}

// Converts [Float32Array] to the channels of a model, as `scenelet.audio.samples.arrange_channels`.
function arrangeChannels(channels, layout) {
  const combine = (rows, weights) => {
    const mixed = new Float32Array(rows[0].length);
    for (let i = 0; i < mixed.length; i++) {
      for (let row = 0; row < rows.length; row++) mixed[i] += weights[row] * rows[row][i];
    }
    return mixed;
  };
  const mean = () => (channels.length > 1 ? combine(channels, channels.map(() => 1 / channels.length)) : channels[0]);
  if (typeof layout === "number") return [channels[layout - 1] || mean()];
  if (layout === "mono") return [mean()];
  const both = [channels[0], channels[channels.length > 1 ? 1 : 0]];
  return layout === "stereo" ? both : [combine(both, [0.5, 0.5]), combine(both, [0.5, -0.5])];
}

// A filter like that of soxr's quality HQ, which `scenelet.audio.windows` uses.
const RESAMPLER_CUTOFF = 0.9568; // of the lower Nyquist frequency
const RESAMPLER_BETA = 12.27; // of the Kaiser window: 120 dB
const RESAMPLER_HALF = 91; // samples at the lower rate, on each side

function bessel(x) { // I0
  let [sum, term] = [1, 1];
  for (let k = 1; term > 1e-12 * sum; k++) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

// Resampler of one channel: blocks go in, and what can be computed comes out.
class Resampler {
  constructor(sourceRate, rate) {
    const divisor = ((a, b) => { while (b) [a, b] = [b, a % b]; return a; })(sourceRate, rate);
    [this.up, this.down] = [rate / divisor, sourceRate / divisor];
    const scale = Math.min(1, rate / sourceRate);
    this.cutoff = RESAMPLER_CUTOFF * scale;
    this.half = Math.ceil(RESAMPLER_HALF / scale);
    this.phases = []; // filter of each fraction of a source sample, computed when it is needed
    this.buffer = new Float32Array(this.half); // the silence before the sound
    this.first = -this.half; // index of the buffer's first sample in the source
    [this.received, this.sent] = [0, 0];
  }

  filter(phase) {
    const taps = new Float64Array(2 * this.half);
    for (let tap = 0; tap < taps.length; tap++) {
      const x = tap - this.half + 1 - phase / this.up; // source samples from the center
      const sinc = x === 0 ? 1 : Math.sin(Math.PI * this.cutoff * x) / (Math.PI * this.cutoff * x);
      taps[tap] = this.cutoff * sinc * bessel(RESAMPLER_BETA * Math.sqrt(Math.max(0, 1 - (x / this.half) ** 2)));
      taps[tap] /= bessel(RESAMPLER_BETA);
    }
    return taps;
  }

  push(samples) {
    if (this.up === this.down) return samples;
    this.received += samples.length;
    return this.compute(samples, Infinity);
  }

  finish() {
    if (this.up === this.down) return new Float32Array(0);
    return this.compute(new Float32Array(2 * this.half), Math.round((this.received * this.up) / this.down));
  }

  // Computes the samples whose filter ends in the buffer, up to index `end`.
  compute(added, end) {
    const { up, down, half } = this;
    const buffer = new Float32Array(this.buffer.length + added.length);
    buffer.set(this.buffer);
    buffer.set(added, this.buffer.length);
    const last = this.first + buffer.length - 1 - half; // of the source samples that have all of their filter
    const count = Math.max(0, Math.min(end, Math.ceil(((last + 1) * up) / down)) - this.sent);
    const output = new Float32Array(count);
    for (let i = 0; i < count; i++) {
      const position = (this.sent + i) * down;
      const phase = position % up;
      const taps = (this.phases[phase] = this.phases[phase] || this.filter(phase));
      const start = (position - phase) / up - half + 1 - this.first;
      let sum = 0;
      for (let tap = 0; tap < taps.length; tap++) sum += taps[tap] * buffer[start + tap];
      output[i] = sum;
    }
    this.sent += count;
    const next = Math.floor((this.sent * down) / up) - half + 1; // first source sample that is still needed
    this.buffer = buffer.slice(Math.max(0, next - this.first));
    this.first = Math.max(this.first, next);
    return output;
  }
}

const [MIN_PEAK, MIN_HZ, SETTLING_SECONDS] = [10 ** (-80 / 20), 20, 0.2]; // as `scenelet.audio.silence`
const BUTTERWORTH_Q = [0.5411961001461969, 1.3065629648763766]; // of the two parts of order 4

// Search for sound in blocks of [Float32Array], as `scenelet.audio.silence.SoundDetector`.
class SoundDetector {
  constructor(sampleRate) {
    this.maxStep = (2 * Math.PI * MIN_HZ) / sampleRate;
    this.settling = Math.round(SETTLING_SECONDS * sampleRate);
    [this.received, this.startPeak, this.found, this.states] = [0, 0, false, null];
    const angle = (2 * Math.PI * MIN_HZ) / sampleRate;
    this.parts = BUTTERWORTH_Q.map((q) => {
      const [alpha, cosine] = [Math.sin(angle) / (2 * q), Math.cos(angle)];
      const scale = 1 + alpha;
      return { b: (1 + cosine) / 2 / scale, a1: (-2 * cosine) / scale, a2: (1 - alpha) / scale };
    });
  }

  get hasSound() {
    return this.found || (this.received < 2 * this.settling && this.startPeak >= MIN_PEAK);
  }

  push(channels) {
    const n = channels[0].length;
    if (this.found || n === 0) return;
    for (const samples of channels) {
      for (let i = 1; i < n; i++) {
        if (Math.abs(samples[i] - samples[i - 1]) > this.maxStep) {
          this.found = true;
          return;
        }
      }
    }
    // the first part begins as if its first sample had lasted forever; then its output, a high-pass filter's, is 0
    this.states = this.states || channels.map((samples) => this.parts.map(({ b }, part) => (
      part === 0 ? [-b * samples[0], b * samples[0]] : [0, 0]
    )));
    channels.forEach((samples, channel) => {
      for (let i = 0; i < n; i++) {
        const level = Math.abs(this.filter(samples[i], this.states[channel]));
        if (this.received + i < this.settling) this.startPeak = Math.max(this.startPeak, level);
        else this.found = this.found || level >= MIN_PEAK;
      }
    });
    this.received += n;
  }

  filter(value, states) {
    this.parts.forEach(({ b, a1, a2 }, part) => {
      const state = states[part];
      const output = b * value + state[0];
      state[0] = -2 * b * value - a1 * output + state[1];
      state[1] = b * value - a2 * output;
      value = output;
    });
    return value;
  }
}

function isSilent(channels, sampleRate) {
  const detector = new SoundDetector(sampleRate);
  detector.push(channels);
  return !detector.hasSound;
}
