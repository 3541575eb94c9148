// Draw mel-band levels on a canvas. All pages draw their spectrograms with this script.
"use strict";

// Points on matplotlib's "magma", from dark to bright in even steps of lightness.
const PALETTE_POINTS = [
  [0, 0, 4], [28, 16, 68], [79, 18, 123], [129, 37, 129], [181, 54, 122], [229, 80, 100], [251, 135, 97],
  [254, 194, 135], [252, 253, 191],
];

// [red, green, blue] of each level from 0 to 255.
const PALETTE = Array.from({ length: 256 }, (_, level) => {
  const position = (level / 255) * (PALETTE_POINTS.length - 1);
  const below = Math.min(Math.floor(position), PALETTE_POINTS.length - 2);
  const fraction = position - below;
  return PALETTE_POINTS[below].map((value, i) => Math.round(value + fraction * (PALETTE_POINTS[below + 1][i] - value)));
});

// Decode Base64 text to a Uint8Array.
function bytesOf(base64) {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

// Draw levels, a Uint8Array of (bands, frames) with the lowest band first; low frequencies are at the bottom.
// The canvas gets one pixel per band and frame. The style sheet sets its size on the page.
function drawSpectrogram(canvas, levels, bands, frames) {
  canvas.width = frames;
  canvas.height = bands;
  const context = canvas.getContext("2d");
  const picture = context.createImageData(frames, bands);
  for (let band = 0; band < bands; band++) {
    for (let frame = 0; frame < frames; frame++) {
      const pixel = 4 * ((bands - 1 - band) * frames + frame);
      picture.data.set(PALETTE[levels[band * frames + frame]], pixel);
      picture.data[pixel + 3] = 255;
    }
  }
  context.putImageData(picture, 0, 0);
}
