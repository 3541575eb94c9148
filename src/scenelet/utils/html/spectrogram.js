// Levels of mel bands -> a picture on a canvas. Every page draws its spectrograms with this.
"use strict";

// Dark to bright, even steps of lightness: points on matplotlib's "magma".
const PALETTE_POINTS = [
  [0, 0, 4], [28, 16, 68], [79, 18, 123], [129, 37, 129], [181, 54, 122], [229, 80, 100], [251, 135, 97],
  [254, 194, 135], [252, 253, 191],
];

// A level from 0 to 255 -> [red, green, blue].
const PALETTE = Array.from({ length: 256 }, (_, level) => {
  const place = (level / 255) * (PALETTE_POINTS.length - 1);
  const below = Math.min(Math.floor(place), PALETTE_POINTS.length - 2);
  const share = place - below;
  return PALETTE_POINTS[below].map((value, i) => Math.round(value + share * (PALETTE_POINTS[below + 1][i] - value)));
});

// Base64 -> Uint8Array.
function bytesOf(base64) {
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
}

// Draw levels, a Uint8Array of (bands, frames) with the lowest band first, low frequencies at the bottom.
// The canvas gets one pixel a band and frame; its size on the page is the style sheet's.
function drawSpectrogram(canvas, levels, bands, frames) {
  canvas.width = frames;
  canvas.height = bands;
  const context = canvas.getContext("2d");
  const picture = context.createImageData(frames, bands);
  for (let band = 0; band < bands; band++) {
    for (let frame = 0; frame < frames; frame++) {
      const place = 4 * ((bands - 1 - band) * frames + frame);
      picture.data.set(PALETTE[levels[band * frames + frame]], place);
      picture.data[place + 3] = 255;
    }
  }
  context.putImageData(picture, 0, 0);
}
