/* A function of each code as a table; `least` is the smallest code. */
static void lookup(uint32_t count, const int8_t *table, int32_t least, const int8_t *x, int8_t *y)
{
    uint32_t i;
    for (i = 0; i < count; i++) y[i] = table[x[i] - least];
}
