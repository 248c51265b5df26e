/* e / (e + 2) with e = exp(2x) - 1 */
static void hyperbolic_tangent(uint32_t count, const float *x, float *y)
{
    uint32_t i;
    for (i = 0; i < count; i++) {
        float twice = x[i] + x[i], rest, n;
        if (twice != twice) {
            y[i] = twice;
            continue;
        }
        twice = twice > 40.0f ? 40.0f : twice;
        twice = twice < -40.0f ? -40.0f : twice;
        n = reduced(twice, &rest);
        if (n != 0.0f) rest = scaled(1.0f + rest, n) - 1.0f;
        y[i] = rest / (rest + 2.0f);
    }
}
