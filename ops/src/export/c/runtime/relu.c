static void relu(uint32_t count, const float *x, float *y)
{
    uint32_t i;
    for (i = 0; i < count; i++) y[i] = x[i] < 0.0f ? 0.0f : x[i];
}
