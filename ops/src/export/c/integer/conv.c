/* Sums of codes times weights, for images whose channels lie side by side: a convolution; a linear layer is one of a single pixel, a
   weight for each channel one of as many groups. Pixels beyond the image have no part in a sum. */
typedef struct {
    const uint8_t *codes; /* two's complement, packed from the lowest bit on; a row for each output: kernel row, kernel column, channel */
    const int32_t *biases;
    const uint32_t *multipliers; /* none if the outputs are the sums */
    uint32_t bits;
    uint32_t groups, channels, outputs; /* channels and outputs are those of a group */
    uint32_t height, width, rows, columns;
    uint32_t kernel_height, kernel_width, stride_height, stride_width;
    uint32_t top, left; /* pixels of padding */
    uint32_t dilation_height, dilation_width;
    int32_t zero; /* the zero point of the input */
    range to;
} conv_layer;

/* Unpacks a row of weights, `step` apart. */
static void unpack(const conv_layer *l, uint32_t row, uint32_t step, int8_t *out)
{
    const uint32_t sign = 1u << (l->bits - 1), mask = 2 * sign - 1;
    uint32_t left = l->kernel_height * l->kernel_width * l->channels, place = row * left * l->bits;
    const uint8_t *codes = l->codes + place / 8;
    uint32_t filled = 8 - place % 8, held = *codes++ >> place % 8;
    for (; left > 0; left--, out += step) {
        if (filled < l->bits) {
            held |= (uint32_t)*codes++ << filled;
            filled += 8;
        }
        *out = (int8_t)((int32_t)((held & mask) ^ sign) - (int32_t)sign);
        held >>= l->bits;
        filled -= l->bits;
    }
}

/* Writes an output: a code, or a logit of 32 bits if `logits`. */
static void store(const conv_layer *l, uint32_t output, int32_t sum, uint32_t at, int8_t *y, int32_t *logits)
{
    sum += l->biases[output];
    if (logits) logits[at] = l->multipliers ? (int32_t)product(sum, l->multipliers[output]) : sum;
    else y[at] = code_of(product(sum, l->multipliers[output]), &l->to);
}

/* The outputs from `first` on: four of them if four, else one. `rows` has their weights, tap by tap. */
static void conv_outputs(const conv_layer *l, uint32_t first, int four, const int8_t *x, int8_t *y, int32_t *logits, const int8_t *rows)
{
    const uint32_t all = l->groups * l->outputs, pixel = l->groups * l->channels, step = four ? 4 : 1;
    const int whole = l->groups == 1 && l->dilation_width == 1; /* kernel columns lie side by side */
    const int32_t zero = l->zero;
    uint32_t row, column, down, right, k, out = first;
    x += first / l->outputs * l->channels;
    for (row = 0; row < l->rows; row++) {
        for (column = 0; column < l->columns; column++, out += all) {
            const uint32_t start = column * l->stride_width;
            uint32_t from = 0, to = l->kernel_width, length, count;
            int32_t a = 0, b = 0, c = 0, d = 0;
            while (from < to && start + from * l->dilation_width < l->left) from++;
            while (from < to && start + (to - 1) * l->dilation_width >= l->left + l->width) to--;
            count = whole ? to - from : 1;
            length = count * l->channels;
            for (down = 0; down < l->kernel_height; down++) {
                /* A line above the image becomes a very large number. */
                const uint32_t line = row * l->stride_height + down * l->dilation_height - l->top;
                if (line >= l->height) continue;
                for (right = from; right < to; right += count) {
                    const uint32_t at = line * l->width + start + right * l->dilation_width - l->left;
                    const int8_t *in = x + at * pixel;
                    const int8_t *w = rows + (down * l->kernel_width + right) * l->channels * step;
                    if (four) {
                        for (k = 0; k < length; k++, w += 4) {
                            const int32_t number = in[k] - zero;
                            a += w[0] * number;
                            b += w[1] * number;
                            c += w[2] * number;
                            d += w[3] * number;
                        }
                    } else {
                        for (k = 0; k < length; k++) a += w[k] * (in[k] - zero);
                    }
                }
            }
            store(l, first, a, out, y, logits);
            if (four) {
                store(l, first + 1, b, out + 1, y, logits);
                store(l, first + 2, c, out + 2, y, logits);
                store(l, first + 3, d, out + 3, y, logits);
            }
        }
    }
}

static void conv(const conv_layer *l, const int8_t *x, int8_t *y, int32_t *logits, int8_t *rows)
{
    uint32_t first = 0, left = 0, count, i;
    for (; first < l->groups * l->outputs; first += count, left -= count) {
        if (left == 0) left = l->outputs;
        count = left >= 4 ? 4 : 1;
        for (i = 0; i < count; i++) unpack(l, first + i, count, rows + i);
        conv_outputs(l, first, count == 4, x, y, logits, rows);
    }
}
