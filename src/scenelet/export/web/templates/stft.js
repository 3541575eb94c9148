// Power spectra of the frames of a window, in float64: ONNX Runtime's STFT differs by up to 0.002 dB.

// Returns a function that transforms complex numbers in place: Float64Arrays of n real and n imaginary parts.
function makeFft(n) {
  return Number.isInteger(Math.log2(n)) ? makeRadix2(n) : makeBluestein(n);
}

function makeRadix2(n) {
  const angles = Float64Array.from({ length: n / 2 }, (_, i) => (-2 * Math.PI * i) / n);
  const [cosines, sines] = [angles.map(Math.cos), angles.map(Math.sin)];
  const reversed = new Uint32Array(n);
  for (let i = 1; i < n; i++) reversed[i] = (reversed[i >> 1] >> 1) | (i & 1 ? n / 2 : 0);
  return (real, imaginary) => {
    for (let i = 0; i < n; i++) {
      const j = reversed[i];
      if (i >= j) continue;
      [real[i], real[j]] = [real[j], real[i]];
      [imaginary[i], imaginary[j]] = [imaginary[j], imaginary[i]];
    }
    for (let half = 1; half < n; half *= 2) {
      const step = n / (2 * half);
      for (let start = 0; start < n; start += 2 * half) {
        for (let k = 0; k < half; k++) {
          const a = start + k;
          const b = a + half;
          const re = real[b] * cosines[k * step] - imaginary[b] * sines[k * step];
          const im = real[b] * sines[k * step] + imaginary[b] * cosines[k * step];
          real[b] = real[a] - re;
          imaginary[b] = imaginary[a] - im;
          real[a] += re;
          imaginary[a] += im;
        }
      }
    }
  };
}

// Bluestein's algorithm: a transform of any length as a convolution with a chirp.
function makeBluestein(n) {
  const size = 2 ** Math.ceil(Math.log2(2 * n - 1));
  const fft = makeRadix2(size);
  const angles = Float64Array.from({ length: n }, (_, i) => (Math.PI * ((i * i) % (2 * n))) / n);
  const [cosines, sines] = [angles.map(Math.cos), angles.map(Math.sin)];
  const [chirpReal, chirpImaginary] = [new Float64Array(size), new Float64Array(size)];
  for (let i = 0; i < n; i++) {
    chirpReal[i] = chirpReal[(size - i) % size] = cosines[i];
    chirpImaginary[i] = chirpImaginary[(size - i) % size] = sines[i];
  }
  fft(chirpReal, chirpImaginary);
  const [a, b] = [new Float64Array(size), new Float64Array(size)];
  return (real, imaginary) => {
    a.fill(0);
    b.fill(0);
    for (let i = 0; i < n; i++) {
      a[i] = real[i] * cosines[i] + imaginary[i] * sines[i];
      b[i] = imaginary[i] * cosines[i] - real[i] * sines[i];
    }
    fft(a, b);
    for (let i = 0; i < size; i++) { // the conjugate of the product, so that the same transform is the inverse
      const re = a[i] * chirpReal[i] - b[i] * chirpImaginary[i];
      b[i] = -(a[i] * chirpImaginary[i] + b[i] * chirpReal[i]);
      a[i] = re;
    }
    fft(a, b);
    for (let i = 0; i < n; i++) {
      real[i] = (a[i] * cosines[i] - b[i] * sines[i]) / size;
      imaginary[i] = (-b[i] * cosines[i] - a[i] * sines[i]) / size;
    }
  };
}

// Returns a function from [Float32Array] to {data, dims: [channels, frames, bins]}, as the first steps of
// `scenelet.audio.log_mel.LogMel`: |STFT|^2, or |STFT| if `power` is 1, centered, with reflected ends.
function makeStft({ n_fft: n, hop_length: hop, win_length: length, window_function: name, power }) {
  const low = name === "hann" ? 0.5 : 0.54;
  const before = Math.floor((n - length) / 2);
  const window = new Float32Array(n); // zeros on both sides fill the frame
  for (let i = 0; i < length; i++) window[before + i] = low - (1 - low) * Math.cos((2 * Math.PI * i) / length);
  const [half, bins, fft] = [Math.floor(n / 2), Math.floor(n / 2) + 1, makeFft(n)];
  const [real, imaginary] = [new Float64Array(n), new Float64Array(n)];
  const cut = (samples, first, frame) => {
    const last = samples.length - 1;
    for (let i = 0; i < n; i++) {
      const position = Math.abs(first + i);
      frame[i] = window[i] * samples[position > last ? 2 * last - position : position];
    }
  };
  return (channels) => {
    const frames = 1 + Math.floor((channels[0].length + 2 * half - n) / hop);
    const data = new Float32Array(channels.length * frames * bins);
    channels.forEach((samples, channel) => {
      for (let frame = 0; frame < frames; frame += 2) { // two real frames are one complex frame
        cut(samples, frame * hop - half, real);
        if (frame + 1 < frames) cut(samples, (frame + 1) * hop - half, imaginary);
        else imaginary.fill(0);
        fft(real, imaginary);
        const row = (channel * frames + frame) * bins;
        for (let bin = 0; bin < bins; bin++) {
          const mirror = (n - bin) % n;
          data[row + bin] = ((real[bin] + real[mirror]) ** 2 + (imaginary[bin] - imaginary[mirror]) ** 2) / 4;
          if (frame + 1 === frames) continue;
          data[row + bins + bin] = ((imaginary[bin] + imaginary[mirror]) ** 2 + (real[bin] - real[mirror]) ** 2) / 4;
        }
      }
    });
    return { data: power === 1 ? data.map(Math.sqrt) : data, dims: [channels.length, frames, bins] };
  };
}
