
/* The same of an image of @UPPER@_INPUTS bytes, which become numbers as they did in the training: @RULE@. */
void @NAME@_infer_bytes(const uint8_t *image, float *output, void *scratch);
