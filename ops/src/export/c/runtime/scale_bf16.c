/* bfloat16 */
static float scale_bf16(uint16_t bits)
{
    return number_of((uint32_t)bits << 16);
}
