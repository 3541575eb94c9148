/* Start of a program on an emulated Cortex-M4 or M7: enable the floating-point unit and a timer. */
#include <stdint.h>

extern char __stack[];
void _start(void);
void reset(void);

void reset(void)
{
    *(volatile uint32_t *)0xe000ed88 |= 0xfU << 20; /* CPACR: full access */
    *(volatile uint32_t *)0x40000004 = 0xffffffffU; /* timer 0: value, reload, enable */
    *(volatile uint32_t *)0x40000008 = 0xffffffffU;
    *(volatile uint32_t *)0x40000000 = 1;
    _start();
}

static void fault(void)
{
    for (;;) {
    }
}

__attribute__((section(".vectors"), used)) static void *const vectors[] = {
    __stack, (void *)reset, (void *)fault, (void *)fault, (void *)fault, (void *)fault, (void *)fault};
