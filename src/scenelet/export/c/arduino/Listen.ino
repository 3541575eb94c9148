// Classify sound from an I2S microphone (INMP441, ICS-43434, SPH0645) on an ESP32, and switch an LED on for one label.
//
// Needs the board package "esp32" 3.0 or newer. Connect the microphone's L/R pin to ground.
// Choose a board with PSRAM, for example an ESP32-S3, and switch PSRAM on in the menu Tools.
#include <ESP_I2S.h>
#include <scenelet.h>

const int BCLK_PIN = 14, WS_PIN = 15, DATA_PIN = 13, LED_PIN = 2;
const char *const LED_LABEL = scenelet_labels[0];  // the label that switches the LED on
const int HOP = SCENELET_SAMPLE_RATE;              // samples between two answers: one second
const int BLOCK = 256;                             // samples of a block
const int SHIFT = 14;                              // from 32-bit slots to 16 bits, four times louder than full scale

I2SClass microphone;
scenelet *listener;
SemaphoreHandle_t lock;

// Read the microphone in a task of its own, so that no samples are lost while loop() computes.
void listen(void *) {
  static int32_t slots[BLOCK];
  static scenelet_sample samples[BLOCK * SCENELET_CHANNELS];
  for (;;) {
    const int count = microphone.readBytes((char *)slots, sizeof slots) / sizeof slots[0];
    for (int i = 0; i < count; i++) {
      const int32_t loud = slots[i] >> SHIFT;
      const int16_t sample = constrain(loud, -32768, 32767);
      for (int channel = 0; channel < SCENELET_CHANNELS; channel++)
        samples[i * SCENELET_CHANNELS + channel] = scenelet_from_int16(sample);
    }
    for (int done = 0; done < count;) {
      xSemaphoreTake(lock, portMAX_DELAY);
      done += scenelet_push(listener, samples + done * SCENELET_CHANNELS, count - done);
      xSemaphoreGive(lock);
    }
  }
}

void stop(const char *message) {
  for (;;) {
    Serial.println(message);
    delay(1000);
  }
}

void setup() {
  Serial.begin(115200);
  pinMode(LED_PIN, OUTPUT);
  listener = (scenelet *)(psramFound() ? ps_malloc(sizeof *listener) : malloc(sizeof *listener));
  if (!listener) stop("Not enough RAM. Use a board with PSRAM, or a model with fewer activations (scenelet info).");
  scenelet_init(listener, HOP);
  microphone.setPins(BCLK_PIN, WS_PIN, -1, DATA_PIN);
  if (!microphone.begin(I2S_MODE_STD, SCENELET_SAMPLE_RATE, I2S_DATA_BIT_WIDTH_32BIT, I2S_SLOT_MODE_MONO, I2S_STD_SLOT_LEFT))
    stop("The microphone does not start. Check BCLK_PIN, WS_PIN and DATA_PIN.");
  lock = xSemaphoreCreateMutex();
  xTaskCreatePinnedToCore(listen, "listen", 8192, nullptr, 10, nullptr, 0);
}

void loop() {
  xSemaphoreTake(lock, portMAX_DELAY);
  const int ready = scenelet_take(listener);
  xSemaphoreGive(lock);
  if (!ready) {
    delay(10);
    return;
  }
  scenelet_answer answer;
  scenelet_classify(listener, &answer);
  digitalWrite(LED_PIN, answer.label && !strcmp(answer.label, LED_LABEL) ? HIGH : LOW);
  Serial.printf("%s %.0f %%\n", answer.label ? answer.label : "unsure", 100 * answer.probability);
}
