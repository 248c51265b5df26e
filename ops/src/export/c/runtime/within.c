/* Returns the number, or the nearer end if it lies outside. */
static float within(float number, float low, float high)
{
    if (number < low) number = low;
    return number > high ? high : number;
}
