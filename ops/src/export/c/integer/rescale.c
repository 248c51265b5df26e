/* How sums become codes: zero point and limits of the codes. */
typedef struct {
    int32_t zero, low, high;
} range;

/* Divides by 2^shift, rounded down. */
static int64_t shifted(int64_t number, uint32_t shift)
{
    return number < 0 ? ~(~number >> shift) : number >> shift;
}

/* Multiplies a sum with m / 2^n, halves rounded up; a multiplier is m + n * 2^22. */
static int64_t product(int32_t sum, uint32_t multiplier)
{
    const uint32_t shift = multiplier >> 22;
    return shifted((int64_t)sum * (int32_t)(multiplier & 0x3fffffu) + ((int64_t)1 << (shift - 1)), shift);
}

/* Returns the code of a number of steps from zero. */
static int8_t code_of(int64_t steps, const range *to)
{
    steps += to->zero;
    return (int8_t)(steps < to->low ? to->low : steps > to->high ? to->high : steps);
}
