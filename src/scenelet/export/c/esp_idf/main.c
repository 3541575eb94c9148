/* Classify sound from an I2S microphone (INMP441, ICS-43434, SPH0645), and switch an LED on for one label.
   Needs ESP-IDF 5.3 or newer. Connect the microphone's L/R pin to ground. */
#include <stdio.h>
#include <string.h>

#include "driver/gpio.h"
#include "driver/i2s_std.h"
#include "esp_heap_caps.h"
#include "freertos/FreeRTOS.h"
#include "freertos/semphr.h"
#include "freertos/task.h"
#include "scenelet.h"

#define BCLK_PIN GPIO_NUM_14
#define WS_PIN GPIO_NUM_15
#define DATA_PIN GPIO_NUM_13
#define LED_PIN GPIO_NUM_2
#define LED_LABEL scenelet_labels[0] /* the label that switches the LED on */
#define HOP SCENELET_SAMPLE_RATE     /* samples between two answers: one second */
#define BLOCK 256                    /* samples of a block */
#define SHIFT 14                     /* from 32-bit slots to 16 bits, four times louder than full scale */

static i2s_chan_handle_t microphone;
static scenelet *listener;
static SemaphoreHandle_t lock;

static void start_microphone(void)
{
    i2s_chan_config_t channel = I2S_CHANNEL_DEFAULT_CONFIG(I2S_NUM_AUTO, I2S_ROLE_MASTER);
    i2s_std_config_t config = {
        .clk_cfg = I2S_STD_CLK_DEFAULT_CONFIG(SCENELET_SAMPLE_RATE),
        .slot_cfg = I2S_STD_PHILIPS_SLOT_DEFAULT_CONFIG(I2S_DATA_BIT_WIDTH_32BIT, I2S_SLOT_MODE_MONO),
        .gpio_cfg = {.mclk = I2S_GPIO_UNUSED, .bclk = BCLK_PIN, .ws = WS_PIN, .dout = I2S_GPIO_UNUSED, .din = DATA_PIN},
    };
    ESP_ERROR_CHECK(i2s_new_channel(&channel, NULL, &microphone));
    ESP_ERROR_CHECK(i2s_channel_init_std_mode(microphone, &config));
    ESP_ERROR_CHECK(i2s_channel_enable(microphone));
}

/* Read the microphone in a task of its own, so that no samples are lost while app_main computes. */
static void listen(void *unused)
{
    static int32_t slots[BLOCK];
    static scenelet_sample samples[BLOCK * SCENELET_CHANNELS];
    (void)unused;
    for (;;) {
        size_t bytes = 0;
        ESP_ERROR_CHECK(i2s_channel_read(microphone, slots, sizeof slots, &bytes, portMAX_DELAY));
        int32_t count = (int32_t)(bytes / sizeof slots[0]);
        for (int32_t i = 0; i < count; i++) {
            const int32_t loud = slots[i] >> SHIFT;
            const int16_t sample = (int16_t)(loud > 32767 ? 32767 : loud < -32768 ? -32768 : loud);
            for (int channel = 0; channel < SCENELET_CHANNELS; channel++) {
                samples[i * SCENELET_CHANNELS + channel] = scenelet_from_int16(sample);
            }
        }
        for (int32_t done = 0; done < count;) {
            xSemaphoreTake(lock, portMAX_DELAY);
            done += scenelet_push(listener, samples + done * SCENELET_CHANNELS, count - done);
            xSemaphoreGive(lock);
        }
    }
}

void app_main(void)
{
    listener = heap_caps_malloc_prefer(sizeof *listener, 2, MALLOC_CAP_SPIRAM, MALLOC_CAP_DEFAULT);
    if (!listener) {
        printf("Not enough RAM: %u bytes are needed. Use a chip with PSRAM, or a model with fewer activations.\n",
               (unsigned)sizeof *listener);
        return;
    }
    scenelet_init(listener, HOP);
    ESP_ERROR_CHECK(gpio_set_direction(LED_PIN, GPIO_MODE_OUTPUT));
    lock = xSemaphoreCreateMutex();
    start_microphone();
    xTaskCreatePinnedToCore(listen, "listen", 8192, NULL, 10, NULL, 0);
    for (;;) {
        xSemaphoreTake(lock, portMAX_DELAY);
        int ready = scenelet_take(listener);
        xSemaphoreGive(lock);
        if (!ready) {
            vTaskDelay(pdMS_TO_TICKS(10));
            continue;
        }
        scenelet_answer answer;
        scenelet_classify(listener, &answer);
        ESP_ERROR_CHECK(gpio_set_level(LED_PIN, answer.label && !strcmp(answer.label, LED_LABEL)));
        printf("%s %.0f %%\n", answer.label ? answer.label : "unsure", 100.0 * (double)answer.probability);
    }
}
