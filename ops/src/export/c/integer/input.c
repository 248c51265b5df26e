/* The code of a number: number / scale rounded to nearest, ties to even, between limits, plus the zero point; NaN is zero. */
static int8_t code_of_number(float number, float scale, int32_t low, int32_t high, int32_t zero)
{
    /* Of so large a number binary64 has no fraction. */
    const double large = 6755399441055744.0, steps = (double)number / (double)scale;
    volatile double rounded;
    if (steps <= low) return (int8_t)(low + zero);
    if (steps >= high) return (int8_t)(high + zero);
    if (steps != steps) return (int8_t)zero;
    rounded = steps + large;
    return (int8_t)((int32_t)(rounded - large) + zero);
}
