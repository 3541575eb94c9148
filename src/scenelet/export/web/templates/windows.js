// Windows of a sound, as `scenelet.audio.windows`.

// Fills the silent ends of a window of [Float32Array] by repeating the sound between them, as `repeat_sound`.
function repeatSound(window, silenceRatio, minSamples) {
  const n = window[0].length;
  const level = new Float32Array(n);
  for (const samples of window) {
    for (let i = 0; i < n; i++) level[i] = Math.max(level[i], Math.abs(samples[i]));
  }
  const threshold = Math.fround(level.reduce((most, value) => Math.max(most, value), 0) * silenceRatio);
  let first = level.findIndex((value) => value > threshold);
  if (first < 0) return window;
  let end = level.findLastIndex((value) => value > threshold) + 1;
  end = Math.max(end, Math.min(first + minSamples, n));
  first = Math.min(first, Math.max(end - minSamples, 0));
  if (end - first === n) return window;
  return window.map((samples) => samples.map((_, i) => samples[(i % (end - first)) + first]));
}

// Cutter of samples at the model's rate: blocks of [Float32Array] go in, windows come out, as `WindowSplitter`.
// `rule` has the lengths in samples: {length, hop, rest, minLast, repeat}, see `scenelet.export.web.site`.
class WindowSplitter {
  constructor(channels, rule) {
    this.rule = rule;
    // a window is complete when it is followed by a sample that it cannot take
    this.complete = rule.rest === null ? rule.length : rule.length + rule.rest + 1;
    this.buffer = Array.from({ length: channels }, () => new Float32Array(this.complete));
    [this.filled, this.emitted] = [0, 0];
  }

  // Yields the windows one at a time, since those that overlap take many times the memory of the sound.
  *push(channels) {
    for (let start = 0; start < channels[0].length;) {
      const end = Math.min(start + this.complete - this.filled, channels[0].length);
      this.buffer.forEach((row, channel) => row.set(channels[channel].subarray(start, end), this.filled));
      this.filled += end - start;
      start = end;
      if (this.filled < this.complete) break;
      const window = this.cut(this.rule.length);
      this.filled = this.complete - this.rule.hop;
      for (const row of this.buffer) row.copyWithin(0, this.rule.hop);
      this.emitted += 1;
      yield window;
    }
  }

  // Returns the last windows. The last one is padded with zeros.
  finish() {
    const { rule } = this;
    if (rule.rest !== null && this.filled >= rule.length) return [this.cut(this.filled)];
    const tail = this.filled - (this.emitted ? rule.length - rule.hop : 0);
    if (this.emitted && tail <= rule.minLast) return [];
    for (const row of this.buffer) row.fill(0, this.filled);
    return [this.cut(rule.length)];
  }

  cut(length) {
    const window = this.buffer.map((row) => row.slice(0, length));
    return this.rule.repeat ? repeatSound(window, this.rule.repeat.ratio, this.rule.repeat.minSamples) : window;
  }
}
