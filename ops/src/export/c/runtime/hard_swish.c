/* x * min(max(x / 6 + 1/2, 0), 1) */
static void hard_swish(uint32_t count, const float *x, float *y)
{
    uint32_t i;
    for (i = 0; i < count; i++) y[i] = x[i] * within(fused(x[i], 1.0f / 6.0f, 0.5f), 0.0f, 1.0f);
}
