/* Reads an integer of at most 24 bits at a place in a stream of bits, the least significant first. */
static uint32_t bits_at(const uint8_t *from, uint32_t place, uint32_t bits)
{
    uint32_t value = 0, i;
    for (i = 0; i < bits; i++, place++) value |= (uint32_t)(from[place / 8] >> place % 8 & 1) << i;
    return value;
}
