// Spectrogram of a whole recording, as `scenelet.server.spectrogram`.

const [MAX_COLUMNS, MAX_BANDS] = [600, 128];

// Averages neighboring items of a list of numbers or of Float32Arrays to at most `count`.
function pool(items, count, average) {
  if (items.length <= count) return items;
  const edge = (i) => Math.floor((i * items.length) / count);
  return Array.from({ length: count }, (_, i) => average(items.slice(edge(i), edge(i + 1))));
}

const meanOf = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
const meanFrame = (frames) => frames[0].map((_, band) => meanOf(frames.map((frame) => frame[band])));

// Log-mel of the sound itself: without padding and repetition. Add the log-mel of each piece, then call `image`.
class SpectrogramReader {
  constructor(seconds, piece, topDb) {
    [this.seconds, this.piece, this.topDb] = [seconds, piece, topDb];
    this.columns = Math.ceil((MAX_COLUMNS * piece.seconds) / Math.max(seconds, piece.seconds));
    [this.frames, this.pieces] = [[], 0];
  }

  // Adds log-mel {data, dims: [1, channels, bands, frames]}.
  add({ data, dims: [, channels, bands, count] }) {
    const frames = Array.from({ length: count - 1 }, (_, frame) => ( // the last one is centered on the next piece
      Float32Array.from({ length: bands }, (__, band) => (
        meanOf(Array.from({ length: channels }, (___, channel) => data[(channel * bands + band) * count + frame]))
      ))
    ));
    const edge = Math.min(this.piece.edge_frames, Math.floor(frames.length / 2)); // frames that hold reflected sound
    frames.fill(frames[edge], 0, edge);
    frames.fill(frames[frames.length - edge - 1], frames.length - edge);
    const fewer = pool(frames, this.columns, meanFrame);
    this.frames.push(...fewer.map((frame) => Float32Array.from(pool([...frame], MAX_BANDS, meanOf))));
    this.pieces += 1;
  }

  // Returns the spectrogram that the page draws.
  image() {
    const shown = Math.round((this.frames.length * this.seconds) / (this.pieces * this.piece.seconds));
    const frames = pool(this.frames.slice(0, Math.max(1, shown)), MAX_COLUMNS, meanFrame);
    const bands = frames[0].length;
    let [low, top] = [Infinity, -Infinity];
    for (const frame of frames) {
      for (const value of frame) [low, top] = [Math.min(low, value), Math.max(top, value)];
    }
    low = Math.max(low, top - this.topDb);
    const levels = new Uint8ClampedArray(bands * frames.length);
    frames.forEach((frame, column) => frame.forEach((value, band) => {
      levels[band * frames.length + column] = Math.floor(((value - low) * 255) / Math.max(top - low, 1e-9));
    }));
    return { levels: new Uint8Array(levels.buffer), bands, frames: frames.length, seconds: this.seconds };
  }
}
