"""Headers with the functions of Arduino and ESP-IDF that the examples call, so that a compiler for a PC checks them."""

ARDUINO = {
    "Arduino.h": """\
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define OUTPUT 1
#define HIGH 1
#define LOW 0
#define portMAX_DELAY 0xffffffffu
#define constrain(x, low, high) ((x) < (low) ? (low) : ((x) > (high) ? (high) : (x)))
typedef void *SemaphoreHandle_t;
struct SerialClass {
    void begin(unsigned long);
    void println(const char *);
    int printf(const char *, ...) __attribute__((format(printf, 2, 3)));
};
extern SerialClass Serial;
void pinMode(uint8_t, uint8_t);
void digitalWrite(uint8_t, uint8_t);
void delay(uint32_t);
bool psramFound();
void *ps_malloc(size_t);
SemaphoreHandle_t xSemaphoreCreateMutex();
int xSemaphoreTake(SemaphoreHandle_t, uint32_t);
int xSemaphoreGive(SemaphoreHandle_t);
int xTaskCreatePinnedToCore(void (*)(void *), const char *, uint32_t, void *, unsigned, void **, int);
""",
    "ESP_I2S.h": """\
#include <stddef.h>
#include <stdint.h>
enum i2s_mode_t { I2S_MODE_STD };
enum i2s_data_bit_width_t { I2S_DATA_BIT_WIDTH_32BIT = 32 };
enum i2s_slot_mode_t { I2S_SLOT_MODE_MONO = 1 };
enum { I2S_STD_SLOT_LEFT = 1 };
struct I2SClass {
    void setPins(int8_t bclk, int8_t ws, int8_t dout, int8_t din = -1, int8_t mclk = -1);
    bool begin(i2s_mode_t, uint32_t, i2s_data_bit_width_t, i2s_slot_mode_t, int8_t slot_mask = -1);
    size_t readBytes(char *, size_t);
};
""",
}
"""Contents of the headers by path."""

ESP_IDF = {
    "freertos/FreeRTOS.h": """\
#pragma once
#include <stdint.h>
#define portMAX_DELAY 0xffffffffu
#define pdMS_TO_TICKS(ms) (ms)
""",
    "freertos/semphr.h": """\
typedef void *SemaphoreHandle_t;
SemaphoreHandle_t xSemaphoreCreateMutex(void);
int xSemaphoreTake(SemaphoreHandle_t, uint32_t);
int xSemaphoreGive(SemaphoreHandle_t);
""",
    "freertos/task.h": """\
int xTaskCreatePinnedToCore(void (*)(void *), const char *, uint32_t, void *, unsigned, void **, int);
void vTaskDelay(uint32_t);
""",
    "esp_heap_caps.h": """\
#include <stddef.h>
#define MALLOC_CAP_SPIRAM (1 << 10)
#define MALLOC_CAP_DEFAULT (1 << 12)
void *heap_caps_malloc_prefer(size_t, size_t, ...);
""",
    "esp_err.h": """\
#pragma once
typedef int esp_err_t;
#define ESP_ERROR_CHECK(x) do { esp_err_t found = (x); (void)found; } while (0)
""",
    "driver/gpio.h": """\
#pragma once
#include <stdint.h>
#include "esp_err.h"
typedef enum { GPIO_NUM_2 = 2, GPIO_NUM_13 = 13, GPIO_NUM_14, GPIO_NUM_15 } gpio_num_t;
typedef enum { GPIO_MODE_OUTPUT = 2 } gpio_mode_t;
esp_err_t gpio_set_direction(gpio_num_t, gpio_mode_t);
esp_err_t gpio_set_level(gpio_num_t, uint32_t);
""",
    "driver/i2s_std.h": """\
#include <stddef.h>
#include <stdint.h>
#include "driver/gpio.h"
#include "esp_err.h"
typedef struct i2s_channel *i2s_chan_handle_t;
typedef struct { int id, role; } i2s_chan_config_t;
typedef struct { uint32_t sample_rate_hz; } i2s_std_clk_config_t;
typedef struct { int data_bit_width, slot_mode; } i2s_std_slot_config_t;
typedef struct { int mclk, bclk, ws, dout, din; } i2s_std_gpio_config_t;
typedef struct {
    i2s_std_clk_config_t clk_cfg;
    i2s_std_slot_config_t slot_cfg;
    i2s_std_gpio_config_t gpio_cfg;
} i2s_std_config_t;
#define I2S_NUM_AUTO (-1)
#define I2S_ROLE_MASTER 0
#define I2S_GPIO_UNUSED (-1)
#define I2S_DATA_BIT_WIDTH_32BIT 32
#define I2S_SLOT_MODE_MONO 1
#define I2S_CHANNEL_DEFAULT_CONFIG(id, role) {(id), (role)}
#define I2S_STD_CLK_DEFAULT_CONFIG(rate) {(rate)}
#define I2S_STD_PHILIPS_SLOT_DEFAULT_CONFIG(width, mode) {(width), (mode)}
esp_err_t i2s_new_channel(const i2s_chan_config_t *, i2s_chan_handle_t *, i2s_chan_handle_t *);
esp_err_t i2s_channel_init_std_mode(i2s_chan_handle_t, const i2s_std_config_t *);
esp_err_t i2s_channel_enable(i2s_chan_handle_t);
esp_err_t i2s_channel_read(i2s_chan_handle_t, void *, size_t, size_t *, uint32_t);
""",
}
"""Contents of the headers by path."""
