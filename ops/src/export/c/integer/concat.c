/* Writes the channels of a branch, rescaled, among `all` channels of each pixel. */
static void concat(uint32_t pixels, uint32_t channels, uint32_t all, term branch, uint32_t shift, const range *to, int8_t *y)
{
    for (; pixels > 0; pixels--, branch.x += channels, y += all) add(channels, &branch, 1, shift, to, y);
}
