"""A model as a static page for a web host: files, microphone, spectrogram, all computed in the browser."""
