/* OCP E4M3 */
static float scale_e4m3(uint8_t bits)
{
    return number_of((uint32_t)(bits >> 7) << 31 | (uint32_t)(bits & 0x7f) << 20) * 0x1p120f;
}
