/* Compares the logits of @COUNT@ images with those of fewbits, bit by bit. */
#include "@NAME@.h"

#include <stdio.h>
#include <string.h>

enum { IMAGES = @COUNT@ };

extern const @TYPE@ @NAME@_golden_images[@COUNT@][@UPPER@_INPUTS];
extern const uint32_t @NAME@_golden_logits[@COUNT@][@UPPER@_OUTPUTS];
@LABELS@
static float scratch[(@UPPER@_SCRATCH_BYTES + sizeof(float) - 1) / sizeof(float)];

int main(void)
{
    int image, equal = 0;
    for (image = 0; image < IMAGES; image++) {
        float logits[@UPPER@_OUTPUTS];
        int @DECLARE@;
        @NAME@_@INFER@(@NAME@_golden_images[image], logits, scratch);
        @DECIDE@
@LABELLED@
        equal += memcmp(logits, @NAME@_golden_logits[image], sizeof logits) == 0;
    }
    printf("%d of %d images equal to the bit\n", equal, IMAGES);
    return equal == IMAGES ? 0 : 1;
}
