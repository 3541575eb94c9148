// Runs in the audio thread: collects the microphone's samples into blocks with interleaved channels.
"use strict";

const BLOCK_FRAMES = 4096; // about a tenth of a second

class Capture extends AudioWorkletProcessor {
  constructor() {
    super();
    this.block = null;
    this.filled = 0;
  }

  process(inputs) {
    const channels = inputs[0];
    if (channels.length === 0) return true; // nothing is connected yet
    const count = channels.length;
    if (this.block === null || this.block.length !== BLOCK_FRAMES * count) {
      this.block = new Float32Array(BLOCK_FRAMES * count);
      this.filled = 0;
    }
    for (let frame = 0; frame < channels[0].length; frame++) {
      for (let channel = 0; channel < count; channel++) this.block[this.filled++] = channels[channel][frame];
      if (this.filled === this.block.length) {
        this.port.postMessage(this.block, [this.block.buffer]);
        this.block = new Float32Array(BLOCK_FRAMES * count);
        this.filled = 0;
      }
    }
    return true;
  }
}

registerProcessor("capture", Capture);
