/* The numbers of a tensor, in rows: one for each output of a layer. A number is the number of its code times the scale of its
   group; groups are blocks of a row, the last of which may be shorter. */
typedef struct {
    const void *codes;
    const void *scales; /* one for each group, or none */
    const void *more;   /* zero points or a codebook, or none */
    uint32_t row;       /* numbers in a row */
    uint32_t block;     /* numbers in a group */
    uint32_t groups;    /* groups in a row; 0 if all rows share one */
} tensor;

/* Writes a row, `step` numbers apart, in another order: a row holds `taps` numbers of its first channel, then those of the
   second, and so on; `out` gets the numbers of all channels for the first tap, then those for the second. */
typedef void decoder(const tensor *t, uint32_t row, uint32_t taps, uint32_t step, float *out);
