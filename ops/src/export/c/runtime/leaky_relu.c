static void leaky_relu(float slope, uint32_t count, const float *x, float *y)
{
    uint32_t i;
    for (i = 0; i < count; i++) y[i] = x[i] < 0.0f ? slope * x[i] : x[i];
}
