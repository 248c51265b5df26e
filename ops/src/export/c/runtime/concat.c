/* Writes the channels of a branch among `all` channels of each pixel. */
static void concat(uint32_t pixels, uint32_t channels, uint32_t all, const float *x, float *y)
{
    uint32_t pixel;
    for (pixel = 0; pixel < pixels; pixel++) memcpy(y + pixel * all, x + pixel * channels, channels * sizeof *x);
}
