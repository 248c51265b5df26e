/* A linear layer. Each sum is one chain of fused products, from the bias on, in the order of the inputs. */
typedef struct {
    tensor weight;
    decoder *decode;
    uint32_t outputs;
    uint32_t rectify; /* whether negative sums become 0 */
} linear_layer;

static void linear(const linear_layer *l, const float *bias, const float *x, float *y, float *row)
{
    uint32_t out, k;
    for (out = 0; out < l->outputs; out++) {
        float sum = bias ? bias[out] : 0.0f;
        l->decode(&l->weight, out, 1, 1, row);
        for (k = 0; k < l->weight.row; k++) sum = fused(row[k], x[k], sum);
        y[out] = l->rectify && sum < 0.0f ? 0.0f : sum;
    }
}
