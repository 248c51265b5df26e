/* The largest code of each window; padding is never the largest. */
static void max_pool(const pool_layer *l, const int8_t *x, int8_t *y)
{
    uint32_t row, column, channel, line, at;
    for (row = 0; row < l->rows; row++) {
        const uint32_t first = window_start(row * l->stride_height, l->top);
        const uint32_t last = window_end(row * l->stride_height + l->size_height, l->top, l->height);
        for (column = 0; column < l->columns; column++) {
            const uint32_t from = window_start(column * l->stride_width, l->left);
            const uint32_t to = window_end(column * l->stride_width + l->size_width, l->left, l->width);
            for (channel = 0; channel < l->channels; channel++) {
                int8_t best = x[(first * l->width + from) * l->channels + channel];
                for (line = first; line < last; line++) {
                    for (at = from; at < to; at++) {
                        const int8_t code = x[(line * l->width + at) * l->channels + channel];
                        if (code > best) best = code;
                    }
                }
                *y++ = best;
            }
        }
    }
}
