/* The network @NAME@. @ABOUT@

   Images are @SHAPE@: channel by channel (of three channels: red, green, blue), row by row. The scratch buffer is aligned like a
   float; its content before and after a call does not matter. Both functions only write to their output and scratch. */
#ifndef @GUARD@
#define @GUARD@

#include <stdint.h>

#if defined(__FAST_MATH__) || defined(__RECIPROCAL_MATH__) || defined(__ASSOCIATIVE_MATH__) || defined(__NO_SIGNED_ZEROS__)
#error "compile without -ffast-math and its parts: they change the bits of the outputs"
#endif

#define @UPPER@_INPUTS @INPUTS@
#define @UPPER@_OUTPUTS @OUTPUTS@
#define @UPPER@_CLASSES @CLASSES@
#define @UPPER@_SCRATCH_BYTES @SCRATCH@

#ifdef __cplusplus
extern "C" {
#endif

/* The names of the classes. */
extern const char *const @NAME@_classes[@UPPER@_CLASSES];

/* Writes the logits of an image of @UPPER@_INPUTS numbers; @MEANING@. */
void @NAME@_infer(const float *input, float *output, void *scratch);
@BYTES@
#ifdef __cplusplus
}
#endif

#endif
