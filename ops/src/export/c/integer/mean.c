/* The multiplier of a mean over so many pixels. */
typedef struct {
    uint32_t count, multiplier;
} mean_factor;

/* The sum of each window times the multiplier for the number of its pixels. */
static void mean(const pool_layer *l, int count_padding, const mean_factor *factors, int32_t zero, const range *to, const int8_t *x, int8_t *y)
{
    uint32_t row, column, channel, line, at;
    for (row = 0; row < l->rows; row++) {
        const uint32_t top = row * l->stride_height;
        const uint32_t first = window_start(top, l->top), last = window_end(top + l->size_height, l->top, l->height);
        for (column = 0; column < l->columns; column++) {
            const uint32_t left = column * l->stride_width;
            const uint32_t from = window_start(left, l->left), end = window_end(left + l->size_width, l->left, l->width);
            const mean_factor *factor = factors;
            uint32_t count = (last - first) * (end - from);
            if (count_padding) {
                const uint32_t bottom = window_end(top + l->size_height, 0, l->top + l->height + l->bottom);
                const uint32_t right = window_end(left + l->size_width, 0, l->left + l->width + l->right);
                count = (bottom - top) * (right - left);
            }
            while (factor->count != count) factor++;
            for (channel = 0; channel < l->channels; channel++) {
                int32_t sum = 0;
                for (line = first; line < last; line++) {
                    for (at = from; at < end; at++) sum += x[(line * l->width + at) * l->channels + channel] - zero;
                }
                *y++ = code_of(product(sum, factor->multiplier), to);
            }
        }
    }
}
