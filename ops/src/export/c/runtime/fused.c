/* fused(x, y, z) is x * y + z, rounded once to the nearest binary32 number, ties to even. */
#if defined(FP_FAST_FMAF) || defined(__FP_FAST_FMAF) || defined(__ARM_FEATURE_FMA)
#define fused fmaf
#else
/* The software fmaf of some C libraries rounds twice, newlib's among them, so this one works on whole numbers. */

/* number_of */
static uint32_t bits_of(float number)
{
    uint32_t bits;
    memcpy(&bits, &number, sizeof bits);
    return bits;
}

/* Shifts right; the lowest bit becomes 1 if a bit is lost, so that a later rounding knows. */
static uint64_t shifted(uint64_t bits, int32_t by)
{
    if (by <= 0) return bits;
    if (by > 63) return bits != 0;
    return bits >> by | (bits << (64 - by) != 0);
}

/* Returns the 24 bits of a nonzero finite number, the first of them 1, and its exponent: number = bits * 2^(exponent - 150). */
static uint32_t significand_of(uint32_t number, int32_t *exponent)
{
    uint32_t bits = number & 0x7fffffu;
    *exponent = (int32_t)(number >> 23 & 0xffu);
    if (*exponent > 0) return bits | 0x800000u;
    for (*exponent = 1; bits < 0x800000u; bits <<= 1) --*exponent;
    return bits;
}

static float fused(float x, float y, float z)
{
    const uint32_t a = bits_of(x), b = bits_of(y), c = bits_of(z), infinite = 0x7f800000u;
    const uint32_t end = c & 0x80000000u;
    uint32_t sign = (a ^ b) & 0x80000000u, result;
    int32_t of_a, of_b, of_c, exponent;
    uint64_t product, sum, rest;
    if ((a & infinite) == infinite || (b & infinite) == infinite || a << 1 == 0 || b << 1 == 0) {
        return x * y + z; /* The product is exact, infinite or not a number. */
    }
    if ((c & infinite) == infinite) return z;
    if (c << 1 == 0) return x * y; /* One rounding, with the sign of the product. */
    /* The product and z as 61 to 62 bits, each times a power of two; their lowest bits are 0. */
    product = (uint64_t)significand_of(a, &of_a) * significand_of(b, &of_b) << 14;
    sum = (uint64_t)significand_of(c, &of_c) << 37;
    of_a += of_b - 314;
    of_c -= 187;
    if (of_a > of_c) {
        sum = shifted(sum, of_a - of_c);
        exponent = of_a;
    } else {
        product = shifted(product, of_c - of_a);
        exponent = of_c;
    }
    if (sign == end) {
        sum += product;
    } else if (product >= sum) {
        sum = product - sum;
    } else {
        sum -= product;
        sign = end;
    }
    if (sum == 0) return 0.0f;
    for (; sum >> 62 == 0; sum <<= 1) exponent--;
    /* The highest 24 of 63 bits stay. */
    exponent += 189;
    if (exponent > 254) return number_of(sign | infinite);
    if (exponent < 1) {
        sum = shifted(sum, 1 - exponent);
        exponent = 1;
    }
    result = ((uint32_t)(exponent - 1) << 23) + (uint32_t)(sum >> 39);
    rest = sum & 0x7fffffffffu;
    if (rest > 0x4000000000u || (rest == 0x4000000000u && (result & 1) != 0)) result++;
    return number_of(sign | result);
}
#endif
