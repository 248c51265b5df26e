/* Compares the outputs of @COUNT@ images with those of fewbits, bit by bit. */
#include "@NAME@.h"

#include <stdio.h>
#include <string.h>

enum { IMAGES = @COUNT@ };

extern const @TYPE@ @NAME@_golden_images[@COUNT@][@UPPER@_INPUTS];
extern const int32_t @NAME@_golden_outputs[@COUNT@][@UPPER@_OUTPUTS];
@LABELS@
static int8_t input[@UPPER@_INPUTS], scratch[@UPPER@_SCRATCH_BYTES];

int main(void)
{
    int image, equal = 0;
    for (image = 0; image < IMAGES; image++) {
        int32_t output[@UPPER@_OUTPUTS];
        int @DECLARE@;
        @NAME@_quantize_input(@NAME@_golden_images[image], input);
        @NAME@_infer(input, output, scratch);
        @DECIDE@
@LABELLED@
        equal += memcmp(output, @NAME@_golden_outputs[image], sizeof output) == 0;
    }
    printf("%d of %d images equal to the bit\n", equal, IMAGES);
    return equal == IMAGES ? 0 : 1;
}
