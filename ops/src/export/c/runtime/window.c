/* A pooling of images whose channels lie side by side. */
typedef struct {
    uint32_t channels, height, width, rows, columns;
    uint32_t size_height, size_width, stride_height, stride_width;
    uint32_t top, left, bottom, right; /* pixels of padding */
} pool_layer;

/* The pixels along a side in a window: from the first one to the one behind the last one. */
static uint32_t window_start(uint32_t start, uint32_t before)
{
    return start > before ? start - before : 0;
}

static uint32_t window_end(uint32_t end, uint32_t before, uint32_t length)
{
    end = end > before ? end - before : 0;
    return end < length ? end : length;
}
