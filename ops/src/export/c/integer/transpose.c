/* Copies a matrix of rows x columns to one of columns x rows. */
static void transpose(uint32_t rows, uint32_t columns, const int8_t *x, int8_t *y)
{
    uint32_t row, column;
    for (column = 0; column < columns; column++) {
        for (row = 0; row < rows; row++) *y++ = x[row * columns + column];
    }
}
