/* The sum of each window, row by row from 0, divided by the number of its pixels. */
static void avg_pool(const pool_layer *l, int count_padding, const float *x, float *y)
{
    uint32_t row, column, channel, line, at;
    for (row = 0; row < l->rows; row++) {
        const uint32_t top = row * l->stride_height;
        const uint32_t first = window_start(top, l->top), last = window_end(top + l->size_height, l->top, l->height);
        for (column = 0; column < l->columns; column++) {
            const uint32_t left = column * l->stride_width;
            const uint32_t from = window_start(left, l->left), to = window_end(left + l->size_width, l->left, l->width);
            uint32_t count = (last - first) * (to - from);
            if (count_padding) {
                const uint32_t bottom = window_end(top + l->size_height, 0, l->top + l->height + l->bottom);
                const uint32_t right = window_end(left + l->size_width, 0, l->left + l->width + l->right);
                count = (bottom - top) * (right - left);
            }
            for (channel = 0; channel < l->channels; channel++) {
                float sum = 0.0f;
                for (line = first; line < last; line++) {
                    for (at = from; at < to; at++) sum += x[(line * l->width + at) * l->channels + channel];
                }
                *y++ = sum / (float)count;
            }
        }
    }
}
