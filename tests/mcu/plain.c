/* LeNet-5 and ResNet-8 as one would write them by hand, on the binary32 weights of an export: what quantized networks are compared
   with. */
#include <stdint.h>
#include <string.h>

void conv(const float *weight, const float *bias, int channels, int outputs, int size, int rows, int kernel, int stride,
          int pad, int relu, const float *input, float *output)
{
    int o, y, x, c, i, j;
    for (o = 0; o < outputs; o++) {
        for (y = 0; y < rows; y++) {
            for (x = 0; x < rows; x++) {
                float sum = bias[o];
                for (c = 0; c < channels; c++) {
                    for (i = 0; i < kernel; i++) {
                        int row = y * stride + i - pad;
                        if (row < 0 || row >= size) continue;
                        for (j = 0; j < kernel; j++) {
                            int column = x * stride + j - pad;
                            if (column < 0 || column >= size) continue;
                            sum += input[(c * size + row) * size + column] *
                                   weight[((o * channels + c) * kernel + i) * kernel + j];
                        }
                    }
                }
                output[(o * rows + y) * rows + x] = relu && sum < 0.0f ? 0.0f : sum;
            }
        }
    }
}

void linear(const float *weight, const float *bias, int inputs, int outputs, int relu, const float *input, float *output)
{
    int o, i;
    for (o = 0; o < outputs; o++) {
        float sum = bias[o];
        for (i = 0; i < inputs; i++) sum += input[i] * weight[o * inputs + i];
        output[o] = relu && sum < 0.0f ? 0.0f : sum;
    }
}

void max_pool(int channels, int size, const float *input, float *output)
{
    int c, y, x;
    for (c = 0; c < channels; c++) {
        for (y = 0; y < size; y += 2) {
            for (x = 0; x < size; x += 2) {
                const float *at = input + (c * size + y) * size + x;
                float best = at[0];
                if (at[1] > best) best = at[1];
                if (at[size] > best) best = at[size];
                if (at[size + 1] > best) best = at[size + 1];
                *output++ = best;
            }
        }
    }
}

#ifdef RESNET8
extern const float resnet8__conv2d_weight[], resnet8__conv2d_bias[], resnet8__conv2d_1_weight[], resnet8__conv2d_1_bias[];
extern const float resnet8__conv2d_2_weight[], resnet8__conv2d_2_bias[], resnet8__conv2d_3_weight[], resnet8__conv2d_3_bias[];
extern const float resnet8__conv2d_4_weight[], resnet8__conv2d_4_bias[], resnet8__conv2d_5_weight[], resnet8__conv2d_5_bias[];
extern const float resnet8__conv2d_6_weight[], resnet8__conv2d_6_bias[], resnet8__conv2d_7_weight[], resnet8__conv2d_7_bias[];
extern const float resnet8__conv2d_8_weight[], resnet8__conv2d_8_bias[], resnet8__dense_weight[], resnet8__dense_bias[];
static float a[16 * 32 * 32], b[16 * 32 * 32], c[16 * 32 * 32];

void add(int count, const float *input, float *output)
{
    int i;
    for (i = 0; i < count; i++) {
        float sum = output[i] + input[i];
        output[i] = sum < 0.0f ? 0.0f : sum;
    }
}

void plain_infer(const float *input, float *output)
{
    int channel, i;
    conv(resnet8__conv2d_weight, resnet8__conv2d_bias, 3, 16, 32, 32, 3, 1, 1, 1, input, a);
    conv(resnet8__conv2d_1_weight, resnet8__conv2d_1_bias, 16, 16, 32, 32, 3, 1, 1, 1, a, b);
    conv(resnet8__conv2d_2_weight, resnet8__conv2d_2_bias, 16, 16, 32, 32, 3, 1, 1, 0, b, c);
    add(16 * 32 * 32, c, a);
    conv(resnet8__conv2d_3_weight, resnet8__conv2d_3_bias, 16, 32, 32, 16, 3, 2, 0, 1, a, b);
    conv(resnet8__conv2d_4_weight, resnet8__conv2d_4_bias, 32, 32, 16, 16, 3, 1, 1, 0, b, c);
    conv(resnet8__conv2d_5_weight, resnet8__conv2d_5_bias, 16, 32, 32, 16, 1, 2, 0, 0, a, b);
    add(32 * 16 * 16, c, b);
    conv(resnet8__conv2d_6_weight, resnet8__conv2d_6_bias, 32, 64, 16, 8, 3, 2, 0, 1, b, a);
    conv(resnet8__conv2d_7_weight, resnet8__conv2d_7_bias, 64, 64, 8, 8, 3, 1, 1, 0, a, c);
    conv(resnet8__conv2d_8_weight, resnet8__conv2d_8_bias, 32, 64, 16, 8, 1, 2, 0, 0, b, a);
    add(64 * 8 * 8, c, a);
    for (channel = 0; channel < 64; channel++) {
        float sum = 0.0f;
        for (i = 0; i < 64; i++) sum += a[channel * 64 + i];
        b[channel] = sum / 64.0f;
    }
    linear(resnet8__dense_weight, resnet8__dense_bias, 64, 10, 0, b, output);
}
#else
extern const float lenet__conv1_weight[], lenet__conv1_bias[], lenet__conv2_weight[], lenet__conv2_bias[];
extern const float lenet__linear1_weight[], lenet__linear1_bias[], lenet__linear2_weight[], lenet__linear2_bias[];
extern const float lenet__linear3_weight[], lenet__linear3_bias[];
static float a[6 * 28 * 28], b[6 * 14 * 14];

void plain_infer(const float *input, float *output)
{
    conv(lenet__conv1_weight, lenet__conv1_bias, 1, 6, 28, 28, 5, 1, 2, 1, input, a);
    max_pool(6, 28, a, b);
    conv(lenet__conv2_weight, lenet__conv2_bias, 6, 16, 14, 10, 5, 1, 0, 1, b, a);
    max_pool(16, 10, a, b);
    linear(lenet__linear1_weight, lenet__linear1_bias, 400, 120, 1, b, a);
    linear(lenet__linear2_weight, lenet__linear2_bias, 120, 84, 1, a, b);
    linear(lenet__linear3_weight, lenet__linear3_bias, 84, 10, 0, b, output);
}
#endif
