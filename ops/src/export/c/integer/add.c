/* A term of a sum: codes, their zero point, and a factor. */
typedef struct {
    const int8_t *x;
    int32_t zero, factor;
} term;

/* The sum of terms times their factors, divided by 2^shift, halves rounded up. */
static void add(uint32_t count, const term *terms, uint32_t number_of_terms, uint32_t shift, const range *to, int8_t *y)
{
    uint32_t i, k;
    for (i = 0; i < count; i++) {
        int32_t sum = (int32_t)1 << (shift - 1);
        for (k = 0; k < number_of_terms; k++) sum += (terms[k].x[i] - terms[k].zero) * terms[k].factor;
        y[i] = code_of(sum < 0 ? ~(~sum >> shift) : sum >> shift, to);
    }
}
