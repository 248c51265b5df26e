/* IEEE 754 binary16 */
static float scale_f16(uint16_t bits)
{
    return number_of((uint32_t)(bits >> 15) << 31 | (uint32_t)(bits & 0x7fff) << 13) * 0x1p112f;
}
