/* Start of a program on an emulated Cortex-M with semihosting: memory begins at 0, and data at 0x20000000. */
#include <stdint.h>
#include <stdlib.h>

extern void initialise_monitor_handles(void);
extern int main(void);
extern char stack_top[];

/* The C library calls these at exit. */
void _init(void) {}
void _fini(void) {}

static void start(void)
{
    *(volatile uint32_t *)0xE000ED88 = 0xF << 20; /* switches floating point on */
    initialise_monitor_handles();
    exit(main());
}

__attribute__((section(".vectors"), used)) static void *const vectors[] = {stack_top, (void *)start};
