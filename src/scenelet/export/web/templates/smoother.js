// Smoother that turns the predictions for live sound into answers that do not flicker.

const [SMOOTH_SECONDS, MARGIN] = [2, 0.1];

// As `scenelet.inference.stream.PredictionSmoother`; a threshold of null is never reached. `update` returns a message as that of the service's WebSocket.
class PredictionSmoother {
  constructor(labels, thresholds, minSimilarity) {
    [this.labels, this.thresholds] = [labels, thresholds.map((value) => value ?? Infinity)];
    this.minSimilarity = minSimilarity;
    [this.average, this.seconds, this.held, this.answer] = [null, 0, null, null];
    this.label = undefined; // no answer so far
  }

  // `similarity` is null if the model has no known sounds.
  update(seconds, probabilities, similarity) {
    const current = Float64Array.from(probabilities);
    if (!current.some((value) => value > 0)) {
      this.average = this.held = this.answer = null;
      return this.result(seconds, "silence", current, 0, current);
    }
    const weight = this.average ? 1 - Math.exp(-(seconds - this.seconds) / SMOOTH_SECONDS) : 1;
    const values = Float64Array.from(similarity === null ? current : [...current, similarity]);
    this.average = (this.average || values).map((value, i) => value + weight * (values[i] - value));
    this.seconds = seconds;
    const average = this.average.slice(0, this.labels.length);
    const isKnown = this.average.slice(this.labels.length).every((value) => value >= this.minSimilarity);
    const top = average.indexOf(Math.max(...average));
    if (this.held === null || average[top] >= average[this.held] + MARGIN) this.held = top;
    // an answer stays a little longer than it would be given as a new one
    const minimum = this.thresholds[this.held] - (this.answer === this.held ? MARGIN : 0);
    this.answer = isKnown && average[this.held] >= minimum ? this.held : null;
    const label = this.answer === null ? null : this.labels[this.answer];
    return this.result(seconds, label, average, average[this.answer === null ? top : this.answer], current);
  }

  result(seconds, label, average, confidence, current) {
    const changed = label !== this.label;
    this.label = label;
    return { seconds, label, confidence, changed, smoothed: [...average], probabilities: [...current] };
  }
}
