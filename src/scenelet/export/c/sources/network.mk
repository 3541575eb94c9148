# make -f network.mk test compiles the network and compares it with training. make -f network.mk qemu does so on an
# emulated Cortex-M4 or M7 (MACHINE=mps2-an500 CPU="-mcpu=cortex-m7 -mfpu=fpv5-d16").
CC ?= cc
CFLAGS ?= -O2
NETWORK_FLAGS = -std=c99 -Wall -Wextra -Werror $(CFLAGS)
NETWORK = model_network.c scenelet_network.c $(wildcard scenelet_conv_*.c scenelet_layers_*.c)
NETWORK_HEADERS = golden_network.h model_network.h scenelet_layers.h scenelet_network.h
ARM ?= arm-none-eabi-
CPU ?= -mcpu=cortex-m4 -mfpu=fpv4-sp-d16
MACHINE ?= mps2-an386

.PHONY: test qemu clean

test: test_network
	./test_network

test_network: test_network.c $(NETWORK) $(NETWORK_HEADERS)
	$(CC) $(NETWORK_FLAGS) test_network.c $(NETWORK) -o $@ -lm

# instructions are counted, 40 per tick of the board's timer
qemu: test_network.elf
	$(ARM)size $<
	qemu-system-arm -M $(MACHINE) -kernel $< -icount shift=0 -nographic -monitor none -serial none -semihosting

test_network.elf: test_network.c qemu_cortex_m.c qemu_cortex_m.ld $(NETWORK) $(NETWORK_HEADERS)
	$(ARM)gcc $(NETWORK_FLAGS) $(CPU) -mthumb -mfloat-abi=hard --specs=rdimon.specs -T qemu_cortex_m.ld \
		"-DTICKS=(*(volatile uint32_t *)0x40000004)" qemu_cortex_m.c test_network.c $(NETWORK) -o $@ -lm

clean:
	rm -f test_network test_network.elf
