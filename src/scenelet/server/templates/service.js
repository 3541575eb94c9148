// Predictions of the service, over HTTP and a WebSocket.

const MAX_ATTEMPTS = 5; // of a request while the service is full

const PREDICTOR = {
  captureUrl: "capture.js",

  async predict(file, name) {
    const form = new FormData();
    form.append("files", file, name);
    for (let attempt = 1; ; attempt++) {
      const response = await fetch("predict?spectrogram=true", { method: "POST", body: form }).catch(() => {
        throw new Error("the service cannot be reached; check that it is running, and try again");
      });
      if (response.status === 429 && attempt < MAX_ATTEMPTS) {
        const wait = Number(response.headers.get("Retry-After")) || 1;
        await new Promise((done) => setTimeout(done, 1000 * wait));
        continue;
      }
      const body = await response.json().catch(() => ({})); // a proxy may send HTML
      if (!body.results) throw new Error(body.detail || `the service answered ${response.status}; try again later`);
      const [result] = body.results;
      if (result.spectrogram) result.spectrogram.levels = bytesOf(result.spectrogram.levels);
      return result;
    }
  },

  openStream(sampleRate, channels, onPrediction, onError) {
    const address = new URL("stream", location.href);
    address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
    address.search = new URLSearchParams({ sample_rate: sampleRate, channels, format: "f32" });
    const socket = new WebSocket(address);
    socket.onmessage = (event) => {
      const message = JSON.parse(event.data);
      if (message.type === "error") onError(message.message);
      if (message.type === "prediction") onPrediction(message);
    };
    socket.onclose = () => onError("The service closed the live connection; it may be busy. Try again.");
    return {
      push: (block) => {
        if (socket.readyState === WebSocket.OPEN) socket.send(block);
      },
      close: () => {
        socket.onclose = null;
        socket.close();
      },
    };
  },
};
