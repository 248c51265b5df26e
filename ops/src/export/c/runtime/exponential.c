/* exp(x) = 2^n * (1 + r * q(r)) with n = round(x / ln 2), r = x - n * ln 2 and q the Taylor polynomial of (exp(r) - 1) / r. volatile
   keeps the compiler from fusing a product with the sum behind it. Returns n and writes r * q(r). */
static float reduced(float x, float *rest)
{
    const float n = fused(x, 1.44269504088896341f, 12582912.0f) - 12582912.0f;
    const float r = fused(n, 2.1219444e-4f, fused(n, -355.0f / 512.0f, x));
    float q = 1.0f / 5040.0f;
    volatile float product;
    q = fused(q, r, 1.0f / 720.0f);
    q = fused(q, r, 1.0f / 120.0f);
    q = fused(q, r, 1.0f / 24.0f);
    q = fused(q, r, 1.0f / 6.0f);
    q = fused(q, r, 1.0f / 2.0f);
    q = fused(q, r, 1.0f);
    product = r * q;
    *rest = product;
    return n;
}

/* Returns x * 2^n in two steps, because a power of two below 2^-126 is no normal number. */
static float scaled(float x, float n)
{
    const int32_t all = (int32_t)n, first = (all + 1024) / 2 - 512;
    const float half = number_of((uint32_t)(first + 127) << 23), other = number_of((uint32_t)(all - first + 127) << 23);
    const volatile float product = x * half * other;
    return product;
}
