"""Audio: from a file, an array or a microphone to samples, windows and log-mel features."""
