/* 1 / (1 + exp(-x)) */
static void sigmoid(uint32_t count, const float *x, float *y)
{
    uint32_t i;
    for (i = 0; i < count; i++) {
        float power = -x[i], rest, n;
        if (power != power) {
            y[i] = power;
            continue;
        }
        power = power > 89.0f ? 89.0f : power;
        power = power < -104.0f ? -104.0f : power;
        n = reduced(power, &rest);
        y[i] = 1.0f / (1.0f + scaled(1.0f + rest, n));
    }
}
