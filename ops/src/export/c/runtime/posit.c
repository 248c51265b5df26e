/* The number of a posit of n bits with es exponent bits: sign, regime (a run of equal bits), exponent, fraction. */
static float posit(uint32_t code, uint32_t n, uint32_t es)
{
    const uint32_t sign = code >> (n - 1);
    uint32_t body, run = 0, exponent = 0;
    int32_t power;
    if (code == 0) return 0.0f;
    if (sign) code = ((uint32_t)1 << n) - code;
    body = code << (33 - n);
    power = -1;
    if (body >> 31) {
        for (; body >> 31; body <<= 1) run++;
        power = (int32_t)run - 1;
    } else {
        for (; !(body >> 31) && run < n - 1; body <<= 1) run++;
        power = -(int32_t)run;
    }
    body <<= 1;
    if (es > 0) exponent = body >> (32 - es);
    body <<= es;
    power = power * (int32_t)((uint32_t)1 << es) + (int32_t)exponent;
    return number_of(sign << 31 | (uint32_t)(power + 127) << 23 | body >> 9);
}
