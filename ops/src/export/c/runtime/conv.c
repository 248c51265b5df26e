/* A convolution of images whose channels lie side by side. Each sum is one chain of fused products, from the bias on, in the order
   kernel row, kernel column, input channel; pixels beyond the image have no part in it. */
typedef struct {
    tensor weight;
    decoder *decode;
    uint32_t groups, channels, outputs; /* channels and outputs are those of a group */
    uint32_t height, width, rows, columns;
    uint32_t kernel_height, kernel_width, stride_height, stride_width;
    uint32_t top, left; /* pixels of padding */
    uint32_t dilation_height, dilation_width;
    uint32_t rectify; /* whether negative sums become 0 */
} conv_layer;

/* The outputs from `first` on: four of them if four, else one. `rows` has their weights, tap by tap. */
static void conv_outputs(const conv_layer *l, uint32_t first, int four, const float *bias, const float *x, float *y, const float *rows)
{
    const uint32_t all = l->groups * l->outputs, pixel = l->groups * l->channels, step = four ? 4 : 1;
    const int whole = l->groups == 1 && l->dilation_width == 1; /* kernel columns lie side by side */
    uint32_t row, column, down, right, k, out = first;
    x += first / l->outputs * l->channels;
    for (row = 0; row < l->rows; row++) {
        for (column = 0; column < l->columns; column++) {
            const uint32_t start = column * l->stride_width;
            uint32_t from = 0, to = l->kernel_width, length, count;
            float a = 0.0f, b = 0.0f, c = 0.0f, d = 0.0f;
            while (from < to && start + from * l->dilation_width < l->left) from++;
            while (from < to && start + (to - 1) * l->dilation_width >= l->left + l->width) to--;
            count = whole ? to - from : 1;
            length = count * l->channels;
            if (bias) {
                a = bias[first];
                if (four) {
                    b = bias[first + 1];
                    c = bias[first + 2];
                    d = bias[first + 3];
                }
            }
            for (down = 0; down < l->kernel_height; down++) {
                /* A line above the image becomes a very large number. */
                const uint32_t line = row * l->stride_height + down * l->dilation_height - l->top;
                if (line >= l->height) continue;
                for (right = from; right < to; right += count) {
                    const uint32_t at = line * l->width + start + right * l->dilation_width - l->left;
                    const float *in = x + at * pixel;
                    const float *w = rows + (down * l->kernel_width + right) * l->channels * step;
                    if (four) {
                        for (k = 0; k < length; k++, w += 4) {
                            const float number = in[k];
                            a = fused(w[0], number, a);
                            b = fused(w[1], number, b);
                            c = fused(w[2], number, c);
                            d = fused(w[3], number, d);
                        }
                    } else {
                        for (k = 0; k < length; k++) a = fused(w[k], in[k], a);
                    }
                }
            }
            if (l->rectify) {
                if (a < 0.0f) a = 0.0f;
                if (b < 0.0f) b = 0.0f;
                if (c < 0.0f) c = 0.0f;
                if (d < 0.0f) d = 0.0f;
            }
            y[out] = a;
            if (four) {
                y[out + 1] = b;
                y[out + 2] = c;
                y[out + 3] = d;
            }
            out += all;
        }
    }
}

static void conv(const conv_layer *l, const float *bias, const float *x, float *y, float *rows)
{
    const uint32_t taps = l->kernel_height * l->kernel_width;
    uint32_t first = 0, left = 0, count, i;
    for (; first < l->groups * l->outputs; first += count, left -= count) {
        if (left == 0) left = l->outputs;
        count = left >= 4 ? 4 : 1;
        for (i = 0; i < count; i++) l->decode(&l->weight, first + i, taps, count, rows + i);
        conv_outputs(l, first, count == 4, bias, x, y, rows);
    }
}
