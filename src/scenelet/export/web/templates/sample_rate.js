// Sample rate of a recording, from its header. Web Audio resamples a recording to the rate of its context, with a filter
// that changes answers. At the recording's own rate it leaves the samples as they are.

const MPEG_RATES = [44100, 48000, 32000];
const HEADER_BYTES = 1 << 16;

// Returns the rate in Hz, or null for a format that is not listed here.
function readSampleRate(bytes) {
  const head = new TextDecoder("latin1").decode(bytes.subarray(0, HEADER_BYTES));
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const after = (marker, offset) => {
    const found = head.indexOf(marker);
    return found >= 0 && found + offset + 4 <= view.byteLength ? found + offset : null;
  };
  const littleEndian = (marker, offset) => after(marker, offset) && view.getUint32(after(marker, offset), true);
  if (/^RIFF|^RF64/.test(head)) return littleEndian("fmt ", 12);
  if (/^fLaC|^OggS[^]{24}\x7fFLAC/.test(head)) return after("fLaC", 18) && view.getUint32(after("fLaC", 18)) >>> 12;
  if (/^OggS/.test(head)) return after("OpusHead", 0) ? 48000 : littleEndian("\x01vorbis", 12);
  return readMpegRate(bytes, /^ID3/.test(head));
}

// Returns the rate of MPEG audio, whose first frame follows the ID3 tag.
function readMpegRate(bytes, hasTag) {
  const start = hasTag ? 10 + [6, 7, 8, 9].reduce((size, i) => size * 128 + bytes[i], 0) : 0;
  const [sync, version, third] = [bytes[start], bytes[start + 1], bytes[start + 2]];
  const isLayer = (version & 0x06) !== 0 && (third & 0x0c) !== 0x0c;
  if (sync !== 0xff || (version & 0xe0) !== 0xe0 || !isLayer) return null;
  const divisor = { 3: 1, 2: 2, 0: 4 }[(version >> 3) & 3]; // MPEG 1, 2, and 2.5
  return divisor ? MPEG_RATES[(third >> 2) & 3] / divisor : null;
}

// Returns whether a WAV file lacks more of its sound than a recorder's error explains, by the rule of `predict`. Browsers
// play what is there without a word.
function isTruncatedWav(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const name = (place) => String.fromCharCode(...bytes.subarray(place, place + 4));
  let perSecond = 0;
  for (let place = 12; name(0) === "RIFF" && place + 8 <= bytes.length;) {
    const size = view.getUint32(place + 4, true);
    if (name(place) === "fmt " && place + 20 <= bytes.length) perSecond = view.getUint32(place + 16, true);
    if (name(place) === "data") {
      const allowed = Math.min(Math.max(0.01 * size, 0.1 * perSecond), 0.1 * size);
      return size < 0x7ffff000 && size - (bytes.length - place - 8) > allowed; // a larger size is that of a live stream
    }
    place += 8 + size + (size % 2);
  }
  return false;
}
