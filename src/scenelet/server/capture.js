// Runs beside the page's own thread: hands the microphone's samples over in blocks, the channels in turn.
"use strict";

const BLOCK = 4096; // frames; about a tenth of a second

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
    if (this.block === null || this.block.length !== BLOCK * count) {
      this.block = new Float32Array(BLOCK * count);
      this.filled = 0;
    }
    for (let frame = 0; frame < channels[0].length; frame++) {
      for (let channel = 0; channel < count; channel++) this.block[this.filled++] = channels[channel][frame];
      if (this.filled === this.block.length) {
        this.port.postMessage(this.block, [this.block.buffer]);
        this.block = new Float32Array(BLOCK * count);
        this.filled = 0;
      }
    }
    return true;
  }
}

registerProcessor("capture", Capture);
