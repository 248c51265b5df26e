/* A weight and a bias for each channel. The product is rounded before the sum: volatile keeps the compiler from fusing them. */
static void affine(uint32_t channels, uint32_t pixels, const float *weight, const float *bias, const float *x, float *y)
{
    uint32_t pixel, channel;
    for (pixel = 0; pixel < pixels; pixel++) {
        for (channel = 0; channel < channels; channel++) {
            const volatile float product = *x++ * weight[channel];
            *y++ = product + bias[channel];
        }
    }
}
