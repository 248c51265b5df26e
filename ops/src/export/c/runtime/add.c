/* Adds x to y. */
static void add(uint32_t count, const float *x, float *y)
{
    uint32_t i;
    for (i = 0; i < count; i++) y[i] += x[i];
}
