static void relu6(uint32_t count, const float *x, float *y)
{
    uint32_t i;
    for (i = 0; i < count; i++) y[i] = within(x[i], 0.0f, 6.0f);
}
