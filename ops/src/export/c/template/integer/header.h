/* The network @NAME@, in integers. @ABOUT@

   Images are @SHAPE@: channel by channel (of three channels: red, green, blue), row by row; in the input the channels of a pixel lie
   side by side. The content of the scratch buffer before and after a call does not matter. The functions only write to their
   output and scratch, and compute without floating point@FLOAT@. */
#ifndef @GUARD@
#define @GUARD@

#include <stdint.h>
@GUARD_FLOAT@
#define @UPPER@_INPUTS @INPUTS@
#define @UPPER@_OUTPUTS @OUTPUTS@
#define @UPPER@_CLASSES @CLASSES@
#define @UPPER@_SCRATCH_BYTES @SCRATCH@
/* The logit that a difference of 1 between outputs stands for. */
#define @UPPER@_OUTPUT_SCALE @OUTPUT_SCALE@

#ifdef __cplusplus
extern "C" {
#endif

/* The names of the classes. */
extern const char *const @NAME@_classes[@UPPER@_CLASSES];

/* Makes the input of an image of @UPPER@_INPUTS @PIXELS@. */
void @NAME@_quantize_input(const @TYPE@ *image, int8_t *input);

/* Writes the outputs of an input of @UPPER@_INPUTS codes; @MEANING@. */
void @NAME@_infer(const int8_t *input, int32_t *output, void *scratch);

#ifdef __cplusplus
}
#endif

#endif
