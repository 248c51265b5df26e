/* OCP E8M0: 2^(bits - 127); the lowest is a subnormal number */
static float scale_e8m0(uint8_t bits)
{
    return number_of(bits ? (uint32_t)bits << 23 : (uint32_t)0x400000);
}
