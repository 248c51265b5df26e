/* Counts the instructions of one inference: with `-icount shift=0` an instruction takes a nanosecond of the emulated time, and the
   timer of the processor, at 25 MHz, takes 40 of them for a tick. Prints them with the bits of the first logit. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define TIMER ((volatile uint32_t *)0xE000E010)

#ifdef INTEGER
typedef int8_t number;
typedef int32_t logit;
#define NUMBER(byte) (int8_t)((int32_t)(byte) - 128)
#else
typedef float number, logit;
#define NUMBER(byte) (float)(byte) / 255.0f
#endif

#ifdef PLAIN
void plain_infer(const float *input, float *output);
#define INFER(input, output, scratch) plain_infer(input, output)
#else
void INFER(const number *input, logit *output, void *scratch);
#endif

static number input[3 * 32 * 32];
static logit output[16];
static float scratch[64 * 1024];

int main(void)
{
    uint32_t before, after, i, bits;
    for (i = 0; i < 3 * 32 * 32; i++) input[i] = NUMBER(i * 7919u % 256u);
    TIMER[1] = 0xFFFFFF;
    TIMER[2] = 0;
    TIMER[0] = 5;
    before = TIMER[2];
    INFER(input, output, scratch);
    after = TIMER[2];
    (void)scratch;
    if (TIMER[0] >> 16 & 1) return 1; /* the timer has passed zero */
    memcpy(&bits, output, sizeof bits);
    printf("%lu %08lx\n", (unsigned long)((before - after) & 0xFFFFFF) * 40ul, (unsigned long)bits);
    return 0;
}
